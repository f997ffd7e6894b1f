import os
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from qnn.errors import ModelError
from qnn.nn.data import load_data
from qnn.nn.folder import FORMATS, read_folder

COUNTS = {"train": {"cat": 3, "dog": 2, "eel": 1}, "test": {"cat": 1, "dog": 2, "eel": 1}}


def picture(seed, size=(5, 4), channels=3):
    shape = (size[1], size[0]) if channels == 1 else (size[1], size[0], channels)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def write(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return pixels


def filled(folder, channels=3, suffix="png", counts=COUNTS):
    """A data set whose images all differ: their pixels by part and label."""
    pixels, seed = {}, 0
    for part, classes in counts.items():
        for label, (name, count) in enumerate(classes.items()):
            for index in range(count):
                image = picture(seed, channels=channels)
                path = folder / part / name / f"{index}.{suffix}"
                pixels.setdefault(part, []).append((label, write(path, image)))
                seed += 1
    return pixels


def first(array):
    """As (channels, height, width)."""
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def message(call):
    with pytest.raises(ModelError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("suffix", ["png", "bmp", "PNG", "webp", "ppm"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_image_comes_with_the_number_of_its_class(tmp_path, channels, suffix):
    if suffix == "webp":
        written = filled(tmp_path, channels, "png")
        for path in list(tmp_path.rglob("*.png")):
            with Image.open(path) as image:
                image.save(path.with_suffix(".webp"), lossless=True)
            path.unlink()
        channels = 3  # the format has no grey
    else:
        written = filled(tmp_path, channels, suffix)
    data = load_data(str(tmp_path))
    for part, x, y in (
        ("train", data.x_train, data.y_train),
        ("test", data.x_test, data.y_test),
    ):
        assert x.dtype == torch.uint8
        assert y.dtype == torch.int64
        assert x.shape == (len(written[part]), channels, 4, 5)
        got = sorted(
            (label, image.tobytes()) for label, image in zip(y.tolist(), x.numpy(), strict=True)
        )
        want = [(label, np.broadcast_to(first(p), x.shape[1:])) for label, p in written[part]]
        assert got == sorted((label, image.tobytes()) for label, image in want)


def test_jpeg_images_are_decoded(tmp_path):
    flat = np.full((4, 5, 3), (200, 100, 50), np.uint8)
    for part in COUNTS:
        write(tmp_path / part / "one" / "a.jpg", flat, quality=95)
    found = read_folder(tmp_path)[0][0]
    assert (found.permute(1, 2, 0).int() - torch.from_numpy(flat).int()).abs().max() <= 3


def test_grey_images_among_colours_become_rgb(tmp_path):
    filled(tmp_path)
    grey = write(tmp_path / "train" / "cat" / "0.png", picture(99, channels=1))
    x, *_ = read_folder(tmp_path)
    assert x.shape[1] == 3
    assert any((image == torch.from_numpy(grey)).all() for image in x)


def test_palettes_and_bits_are_unpacked(tmp_path):
    filled(tmp_path, channels=1)
    bits = Image.fromarray(picture(3, channels=1)).convert("1")
    bits.save(tmp_path / "test" / "eel" / "0.png")
    x, _, tests, labels = read_folder(tmp_path)
    assert x.shape[1] == 1
    assert set(tests[labels == 2].flatten().tolist()) == {0, 255}
    rgb = Image.fromarray(np.full((4, 5, 3), (1, 2, 3), np.uint8))
    rgb.convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / "test" / "eel" / "0.png")
    _, _, tests, labels = read_folder(tmp_path)
    assert tests[labels == 2][0, :, 0, 0].tolist() == [1, 2, 3]


def test_the_order_mixes_the_classes_and_is_always_the_same(tmp_path):
    counts = {"train": {"a": 30, "b": 30}, "test": {"a": 1, "b": 1}}
    filled(tmp_path, counts=counts)
    one, other = read_folder(tmp_path), read_folder(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert 5 <= int(one[1][:30].sum()) <= 25


def test_hidden_files_are_left_out_and_others_are_not(tmp_path):
    filled(tmp_path)
    (tmp_path / "train" / ".cache").mkdir()
    (tmp_path / "train" / "cat" / ".DS_Store").write_bytes(b"x")
    assert len(read_folder(tmp_path)[0]) == 6
    (tmp_path / "train" / "cat" / "notes.txt").write_text("x")
    assert message(lambda: read_folder(tmp_path)) == unreadable(tmp_path, "train/cat/notes.txt")


def test_progress_counts_all_images(tmp_path):
    filled(tmp_path)
    seen = []
    load_data(str(tmp_path), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 10) for done in range(1, 11)]


def unreadable(folder, name):
    return (
        f"data {folder}: {name} cannot be read as an image; it is cut short, or none of "
        f"{', '.join(FORMATS)}: replace or remove it"
    )


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "webp", "gif", "tiff"])
def test_an_image_cut_anywhere_is_named(tmp_path, suffix):
    filled(tmp_path, counts={"train": {"a": 1}, "test": {"a": 1}})
    path = tmp_path / "test" / "a" / f"cut.{suffix}"
    write(path, picture(1))
    whole = path.read_bytes()
    for length in range(0, len(whole) - 24, 1 + len(whole) // 50):  # the rest is no pixel
        path.write_bytes(whole[:length])
        wanted = unreadable(tmp_path, f"test/a/cut.{suffix}")
        assert message(lambda: read_folder(tmp_path)) == wanted, length


@pytest.mark.parametrize("mode", ["RGBA", "LA", "I;16", "F"])
def test_modes_that_would_lose_something_are_refused(tmp_path, mode):
    filled(tmp_path)
    path = tmp_path / "train" / "cat" / f"x.{'tiff' if mode == 'F' else 'png'}"
    Image.new(mode, (5, 4)).save(path)
    with Image.open(path) as image:
        found = image.mode
    assert message(lambda: read_folder(tmp_path)) == (
        f"data {tmp_path}: train/cat/{path.name} needs 8-bit grey or RGB pixels, not mode {found} "
        f"or transparency; convert it"
    )


def test_another_size_is_named_with_both_sizes(tmp_path):
    for part in COUNTS:
        write(tmp_path / part / "a" / "0.png", picture(0))
    write(tmp_path / "test" / "a" / "0.png", picture(0, (6, 4)))
    assert message(lambda: read_folder(tmp_path)) == (
        f"data {tmp_path} needs images of one size, but test/a/0.png is 6 x 4 and train/a/0.png "
        f"is 5 x 4 (width x height); resize them"
    )


def test_a_class_without_images_is_refused(tmp_path):
    filled(tmp_path)
    for name in ("0.png", "1.png"):
        (tmp_path / "test" / "dog" / name).unlink()
    assert message(lambda: read_folder(tmp_path)) == (
        f"data {tmp_path}: class test/dog needs at least one image, but has none; add images or "
        f"remove the class"
    )


@pytest.mark.parametrize(("extra", "lacks"), [("train", "test"), ("test", "train")])
def test_classes_that_differ_are_refused(tmp_path, extra, lacks):
    filled(tmp_path)
    write(tmp_path / extra / "fox" / "0.png", picture(0))
    assert message(lambda: read_folder(tmp_path)) == (
        f"data {tmp_path} needs the same classes in train and test, but 'fox' of {extra} is not in "
        f"{lacks}; make or remove that folder"
    )


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_missing_or_empty_part_is_refused(tmp_path, part):
    for other in {"train", "test"} - {part}:
        write(tmp_path / other / "a" / "0.png", picture(0))
    assert message(lambda: read_folder(tmp_path)) == (
        f"data {tmp_path} needs the folders train and test, with a folder of images for each "
        f"class, but {part} is missing; make it"
    )
    (tmp_path / part).mkdir()
    write(tmp_path / part / "loose.png", picture(0))
    assert message(lambda: read_folder(tmp_path)) == (
        f"data {tmp_path} needs a folder of images for each class, but {part} has none; make them"
    )


def altered(folder, path):
    """Whatever is made of one image of a folder, the refusal names it."""
    name = path.relative_to(folder)
    assert message(lambda: read_folder(folder)) == (
        f"data {folder}: {name} cannot be read as an image; it is cut short, or none of "
        f"{', '.join(FORMATS)}: replace or remove it"
    )


@pytest.mark.parametrize("kind", ["pipe", "device", "circle", "folder"])
def test_what_is_no_file_is_refused_and_nobody_waits(tmp_path, kind):
    filled(tmp_path)
    path = tmp_path / "train/cat/0.png"
    path.unlink()
    make = {
        "pipe": lambda: os.mkfifo(path),
        "device": lambda: path.symlink_to("/dev/zero"),
        "circle": lambda: path.symlink_to(path),
        "folder": path.mkdir,
    }
    make[kind]()
    altered(tmp_path, path)


def test_a_link_to_an_image_elsewhere_is_one(tmp_path):
    filled(tmp_path / "data")
    path = tmp_path / "data/train/cat/0.png"
    path.rename(tmp_path / "kept.png")
    path.symlink_to(tmp_path / "kept.png")
    assert len(read_folder(tmp_path / "data")[0]) == 6


def test_a_png_whose_text_is_a_bomb_is_refused(tmp_path):
    filled(tmp_path)
    path = tmp_path / "train/cat/0.png"
    bomb = b"Comment\0\0" + zlib.compress(bytes(1 << 26))
    chunk = struct.pack(">I", len(bomb)) + b"zTXt" + bomb
    chunk += struct.pack(">I", zlib.crc32(chunk[4:]))
    data = path.read_bytes()
    for place in (33, data.index(b"IEND") - 4):  # before and behind the pixels
        path.write_bytes(data[:place] + chunk + data[place:])
        altered(tmp_path, path)


def test_images_whose_sizes_are_far_above_their_files_are_refused(tmp_path):
    for part, classes in COUNTS.items():
        for name in classes:
            path = tmp_path / part / name / "0.png"
            path.parent.mkdir(parents=True)
            Image.new("L", (9000, 9000)).save(path)
    size = sum(path.stat().st_size for path in tmp_path.rglob("*.png"))
    assert 200 * size < 1 << 28
    assert message(lambda: read_folder(tmp_path)) == (
        f"data {tmp_path} needs images that fill their files, but 6 of 9000 x 9000 would take "
        f"486,000,000 bytes, more than {1 << 28:,}; make them smaller"
    )
