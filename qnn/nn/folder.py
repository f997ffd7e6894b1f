"""Labelled images in folders: ``FOLDER/train/CLASS/IMAGE`` and ``FOLDER/test/CLASS/IMAGE``."""

import struct
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from qnn.errors import ModelError
from qnn.files import open_file
from qnn.nn.tensors import as_tensor

if TYPE_CHECKING:
    from torch import Tensor


Progress = Callable[[int, int], None]  # images done, images in all
PARTS = ("train", "test")
# Those that Pillow decodes itself: others start external programs.
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "PPM", "TIFF", "GIF")
# A palette may hold colours, and CMYK and YCbCr are colours in other coordinates.
CHANNELS = {"1": 1, "L": 1, "P": 3, "RGB": 3, "YCbCr": 3, "CMYK": 3}  # by Pillow's mode
CONVERTED = {1: "L", 3: "RGB"}
# All images together may have as many values as this, or as many times those of their files' bytes:
# formats write what is of one colour in a thousandth, and photographs in a tenth.
LEAST_LIMIT, MOST_RATIO = 1 << 28, 200
# What decoders raise for files that are cut or altered, each in its own way; running out of memory
# is none of it, as sizes are checked before.
BROKEN = (
    *(OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, AttributeError),
    *(ArithmeticError, RuntimeError, AssertionError, struct.error, zlib.error),
)


@dataclass(frozen=True)
class Entry:
    """One image: its file, the number of its class, and what its header says."""

    path: Path
    label: int
    size: tuple[int, int]  # width, height
    channels: int
    file_bytes: int


def read_folder(folder: str | Path, progress: Progress | None = None) -> "tuple[Tensor, ...]":
    """Images and labels of both parts, in an order that is random and always the same.

    Classes are the names of folders, sorted: the first is label 0. Images are of one size; if one
    has colours, all become RGB, else all are grey. Files whose names begin with a dot are left out.

    Parameters
    ----------
    progress : called after each image that was decoded

    Returns
    -------
    x_train, y_train, x_test, y_test
        (count, channels, height, width) uint8, and (count,) int64

    Raises
    ------
    ModelError
        A part or a class is missing or empty, or an image is unreadable or of another size.
    """
    folder = Path(folder)
    classes = _classes(folder)
    parts = [_entries(folder, part, classes) for part in PARTS]
    together = [entry for entries in parts for entry in entries]
    _check_sizes(folder, together)
    channels = max(entry.channels for entry in together)
    _check_values(folder, together, channels)
    done, found = 0, []
    for entries in parts:
        width, height = entries[0].size
        # Made at once: a list of decoded images and their stack would take twice the memory.
        images = np.empty((len(entries), channels, height, width), np.uint8)
        for index, entry in enumerate(entries):
            images[index] = _pixels(folder, entry.path, channels)
            done += 1
            if progress is not None:
                progress(done, len(together))
        labels = np.array([entry.label for entry in entries], np.int64)
        found += [as_tensor(images), as_tensor(labels)]
    return tuple(found)


def _classes(folder) -> list[str]:
    """Names of the classes, which both parts have."""
    train, test = (_class_names(folder, part) for part in PARTS)
    for name in train + test:
        if name not in train or name not in test:
            has, lacks = PARTS if name in train else reversed(PARTS)
            raise ModelError(
                f"data {folder} needs the same classes in train and test, but '{name}' of {has} "
                f"is not in {lacks}; make or remove that folder"
            )
    return train


def _class_names(folder, part):
    if not (folder / part).is_dir():
        raise ModelError(
            f"data {folder} needs the folders train and test, with a folder of images for each "
            f"class, but {part} is missing; make it"
        )
    names = sorted(path.name for path in _visible(folder / part) if path.is_dir())
    if not names:
        raise ModelError(
            f"data {folder} needs a folder of images for each class, but {part} has none; make them"
        )
    return names


def _visible(folder):
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _entries(folder, part, classes) -> list[Entry]:
    entries = []
    for label, name in enumerate(classes):
        paths = _visible(folder / part / name)
        if not paths:
            raise ModelError(
                f"data {folder}: class {part}/{name} needs at least one image, but has none; add "
                f"images or remove the class"
            )
        entries += [_entry(folder, path, label) for path in paths]
    # Sorted by class, every batch would be of one label. The seed is fixed: the order is data.
    order = np.random.default_rng(0).permutation(len(entries))
    return [entries[index] for index in order]


def _entry(folder, path, label) -> Entry:
    def look(image):
        return image.mode, image.has_transparency_data, image.size

    mode, transparent, size = _read(folder, path, look)
    channels = CHANNELS.get(mode)
    if channels is None or transparent:
        raise ModelError(
            f"data {folder}: {path.relative_to(folder)} needs 8-bit grey or RGB pixels, not mode "
            f"{mode} or transparency; convert it"
        )
    return Entry(path, label, size, channels, path.stat().st_size)


def _check_sizes(folder, entries):
    first = entries[0]
    for entry in entries:
        if entry.size != first.size:
            one, other = (
                f"{e.path.relative_to(folder)} is {e.size[0]} x {e.size[1]}" for e in (entry, first)
            )
            raise ModelError(
                f"data {folder} needs images of one size, but {one} and {other} (width x height); "
                f"resize them"
            )


def _check_values(folder, entries, channels):
    """Refuse images whose headers ask for far more memory than their files have bytes."""
    width, height = entries[0].size
    values = len(entries) * channels * width * height
    most = max(LEAST_LIMIT, MOST_RATIO * sum(entry.file_bytes for entry in entries))
    if values > most:
        raise ModelError(
            f"data {folder} needs images that fill their files, but {len(entries)} of {width} x "
            f"{height} would take {values:,} bytes, more than {most:,}; make them smaller"
        )


def _pixels(folder, path, channels):
    def decode(image):
        return np.array(image.convert(CONVERTED[channels]))

    pixels = _read(folder, path, decode)
    return pixels.reshape(*pixels.shape[:2], channels).transpose(2, 0, 1)


def _read(folder, path, what):
    """What the function ``what`` gives of the image in a file."""
    from PIL import Image  # only folders need it

    try:
        with open_file(path) as file, warnings.catch_warnings():
            # Of metadata that is broken, which nobody asked for.
            warnings.simplefilter("ignore")
            with Image.open(file, formats=FORMATS) as image:
                return what(image)
    except (*BROKEN, Image.DecompressionBombError) as error:
        raise _unreadable(folder, path) from error


def _unreadable(folder, path):
    return ModelError(
        f"data {folder}: {path.relative_to(folder)} cannot be read as an image; it is cut short, "
        f"or none of {', '.join(FORMATS)}: replace or remove it"
    )
