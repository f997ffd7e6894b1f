import numpy as np
import pytest
import torch

from qnn.bench import shared
from qnn.errors import ModelError


def deltas(images):
    """Pixels as the folder stores them."""
    x = images.copy()
    x[:, 0] -= x[:, 1]
    x[:, 2] -= x[:, 1]
    x[:, :, 1:] -= x[:, :, :-1].copy()
    x[..., 1:] -= x[..., :-1].copy()
    return x


def random_images(count):
    return np.random.default_rng(0).integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)


def refusal(call, *arguments):
    with pytest.raises(ModelError) as caught:
        call(*arguments)
    return str(caught.value)


def test_images_come_back_as_they_were_stored(tmp_path):
    images, labels = random_images(5), np.arange(5, dtype=np.uint8)
    np.savez(tmp_path / "cifar10_test.npz", x_delta=deltas(images), y=labels)
    x, y = shared.cifar10_test(tmp_path)
    assert (x.numpy() == images).all()
    assert y.tolist() == [0, 1, 2, 3, 4]
    assert y.dtype == torch.int64


def test_training_images_come_in_parts_with_their_labels(tmp_path, monkeypatch):
    monkeypatch.setattr(shared, "CIFAR10_PART", 2)
    images, labels = random_images(4), np.arange(4, dtype=np.uint8)
    parts = {f"x_delta{part}": deltas(images[2 * part : 2 * part + 2]) for part in range(2)}
    np.savez(tmp_path / "cifar10_train.npz", y=labels, **parts)
    x, y = shared.cifar10_train(tmp_path, [1, 0])
    assert (x.numpy() == images[[2, 3, 0, 1]]).all()
    assert y.tolist() == [2, 3, 0, 1]


def test_tiny_sets_come_as_the_networks_take_them(tmp_path):
    images, maps = random_images(3), np.full((2, 49, 10), -128, np.int8)
    np.savez(tmp_path / "tiny_vww01.npz", x_delta=deltas(images), y=np.arange(3, dtype=np.uint8))
    np.savez(tmp_path / "tiny_kws01.npz", x=maps, y=np.array([11, 0], np.uint8))
    x, y = shared.tiny_vww(tmp_path)
    assert (x.numpy() == images).all()
    assert y.tolist() == [0, 1, 2]
    x, y = shared.tiny_kws(tmp_path)
    assert (x.shape, x.dtype, int(x.max())) == ((2, 1, 49, 10), torch.uint8, 0)
    assert y.tolist() == [11, 0]


def test_fashion_images_come_in_two_parts(tmp_path):
    x, y = np.arange(2 * 28 * 28, dtype=np.uint8).reshape(2, 28, 28), np.array([3, 9], np.uint8)
    parts = {"x_train": x, "y_train": y, "x_test": x[1:], "y_test": y[1:]}
    np.savez(tmp_path / "fashion_mnist.npz", **parts)
    images, labels = shared.fashion(tmp_path, "train")
    assert (images.numpy() == x[:, None]).all()
    assert labels.tolist() == [3, 9]
    assert shared.fashion(tmp_path, "test")[1].tolist() == [9]


def test_stories_are_split_where_they_begin(tmp_path):
    tokens = np.array([7, 1, 5, 6, 1, 9], np.uint16)
    np.savez(tmp_path / "tinystories_tok512.npz", tokens=tokens)
    assert [story.tolist() for story in shared.stories(tmp_path)] == [[1, 5, 6], [1, 9]]


def test_no_folder_is_refused(tmp_path):
    assert refusal(shared.needed, None, "resnet20") == (
        "bench accuracy needs --data with the folder of data and weights for resnet20, but got "
        "none; give it, or use --quick"
    )
    assert refusal(shared.needed, tmp_path / "none", "resnet20") == (
        f"data folder {tmp_path}/none is no folder; name one with --data"
    )
    assert shared.needed(tmp_path, "resnet20") == tmp_path


def test_a_folder_without_a_file_is_refused(tmp_path):
    for call, name in (
        (shared.cifar10_test, "cifar10_test.npz"),
        (shared.cifar10_train, "cifar10_train.npz"),
        (shared.stories, "tinystories_tok512.npz"),
        (lambda folder: shared.checkpoint(folder, "resnet56"), "resnet56_cifar10.pt"),
    ):
        assert refusal(call, tmp_path) == (
            f"data folder {tmp_path} needs the file {name}, but has none; name the folder that "
            f"has it with --data"
        )


def test_a_file_without_an_array_is_refused(tmp_path):
    path = tmp_path / "cifar10_test.npz"
    np.savez(path, y=np.zeros(1, np.uint8))
    assert refusal(shared.cifar10_test, tmp_path) == (
        f"data {path} needs the array x_delta, but has none; copy it again"
    )


def test_a_cut_file_is_refused_in_one_line(tmp_path):
    path = tmp_path / "tinystories_tok512.npz"
    np.savez(path, tokens=np.arange(1000, dtype=np.uint16))
    path.write_bytes(path.read_bytes()[:-100])
    assert refusal(shared.stories, tmp_path) == (
        f"data {path} cannot be read: File is not a zip file; copy it again"
    )


def test_a_cut_checkpoint_is_refused(tmp_path):
    path = tmp_path / "stories260k.pt"
    path.write_bytes(b"PK")
    assert refusal(shared.weights, tmp_path, "stories260k") == (
        f"data {path} cannot be read: it holds something else, or is cut short; copy it again"
    )
