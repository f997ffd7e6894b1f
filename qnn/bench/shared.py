"""The folder of data and trained weights that benchmarks read, each set as the networks take it."""

import io
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from qnn.array_file import ArrayFileError, open_arrays
from qnn.errors import ModelError
from qnn.nn.preprocess import to_bytes

CIFAR10_TEST = "cifar10_test.npz"
# As the data set comes: five batches.
CIFAR10_PART = 10_000  # training images in each of the five arrays
CHECKPOINTS = {
    "resnet8": "tiny_ic_resnet8.pt",
    "resnet20": "resnet20_cifar10.pt",
    "resnet56": "resnet56_cifar10.pt",
    "dscnn": "tiny_kws_dscnn.pt",
    "mobilenetv1_vww": "tiny_vww_mobilenetv1.pt",
    "mobilenetv1": "mobilenetv1_025_imagenet.pt",
    "stories260k": "stories260k.pt",
}
STORY_START = 1  # the token that each story begins with


def needed(folder: Path | None, model: str) -> Path:
    """``folder``, if there is one.

    Raises
    ------
    ModelError
        None was given, or it is no folder.
    """
    if folder is None:
        raise ModelError(
            f"bench accuracy needs --data with the folder of data and weights for {model}, but "
            f"got none; give it, or use --quick"
        )
    if not folder.is_dir():
        raise ModelError(f"data folder {folder} is no folder; name one with --data")
    return folder


def checkpoint(folder: Path, model: str) -> Path:
    """The file of ``model``'s trained weights.

    Raises
    ------
    ModelError
        The folder has no such file.
    """
    return _file(folder, CHECKPOINTS[model])


def weights(folder: Path, model: str) -> dict[str, Tensor]:
    """``model``'s trained weights by name, never unpickled."""
    path = checkpoint(folder, model)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # any: a cut or foreign file raises many kinds
        raise ModelError(
            f"data {path} cannot be read: it holds something else, or is cut short; copy it again"
        ) from error


def cifar10_test(folder: Path) -> tuple[Tensor, Tensor]:
    """The 10,000 test images, (count, 3, 32, 32) uint8, and their labels, in official order."""
    delta, labels = _arrays(_file(folder, CIFAR10_TEST), "x_delta", "y")
    return _images(delta), torch.from_numpy(labels.astype(np.int64))


def cifar10_train(folder: Path, parts: Iterable[int] = range(5)) -> tuple[Tensor, Tensor]:
    """Training images and labels, some of the five parts of 10,000."""
    parts = tuple(parts)
    names = [f"x_delta{part}" for part in parts]
    labels, *deltas = _arrays(_file(folder, "cifar10_train.npz"), "y", *names)
    chosen = [labels[part * CIFAR10_PART : (part + 1) * CIFAR10_PART] for part in parts]
    images = torch.cat([_images(delta) for delta in deltas])
    return images, torch.from_numpy(np.concatenate(chosen).astype(np.int64))


def fashion(folder: Path, part: str) -> tuple[Tensor, Tensor]:
    """Fashion-MNIST's "train" or "test" images, (count, 1, 28, 28) uint8, and their labels."""
    images, labels = _arrays(_file(folder, "fashion_mnist.npz"), f"x_{part}", f"y_{part}")
    return torch.from_numpy(images)[:, None], torch.from_numpy(labels.astype(np.int64))


def tiny_kws(folder: Path) -> tuple[Tensor, Tensor]:
    """MLPerf Tiny's 1000 keywords, (count, 1, 49, 10) uint8 (``to_bytes`` of MFCC), and labels."""
    maps, labels = _arrays(_file(folder, "tiny_kws01.npz"), "x", "y")
    return torch.from_numpy(to_bytes(maps))[:, None], torch.from_numpy(labels.astype(np.int64))


def tiny_vww(folder: Path) -> tuple[Tensor, Tensor]:
    """MLPerf Tiny's 1000 visual wake words, (count, 3, 96, 96) uint8, and labels."""
    delta, labels = _arrays(_file(folder, "tiny_vww01.npz"), "x_delta", "y")
    return _images(delta), torch.from_numpy(labels.astype(np.int64))


def imagenet_sample(folder: Path) -> tuple[Tensor, Tensor]:
    """500 images of ImageNet's training set, (count, 3, 224, 224) uint8, and labels.

    Raises
    ------
    ModelError
        An image cannot be read.
    """
    path = _file(folder, "imagenet_sample.npz")
    bytes_of_all, offsets, labels = _arrays(path, "jpeg", "offset", "y")
    try:
        images = [
            np.asarray(Image.open(io.BytesIO(bytes_of_all[start:stop].tobytes())).convert("RGB"))
            for start, stop in pairwise(offsets)
        ]
    except OSError as error:
        raise ModelError(f"data {path} cannot be read: {error}; copy it again") from error
    images = torch.from_numpy(np.stack(images)).movedim(3, 1).contiguous()
    return images, torch.from_numpy(labels.astype(np.int64))


def stories(folder: Path) -> list[Tensor]:
    """Tokens of each story, (length,) int64 led by ``STORY_START``."""
    (tokens,) = _arrays(_file(folder, "tinystories_tok512.npz"), "tokens")
    tokens = torch.from_numpy(tokens.astype(np.int64))
    starts = (tokens == STORY_START).nonzero().flatten().tolist()
    return list(tokens.tensor_split(starts))[1:]


def _images(delta):
    """Undo the differences along width, height and colour: exact."""
    x = delta.cumsum(3, dtype=np.uint8).cumsum(2, dtype=np.uint8)
    # Red and blue are stored as differences to green, which compress better.
    x[:, 0] += x[:, 1]
    x[:, 2] += x[:, 1]
    return torch.from_numpy(x)


def _file(folder, name):
    path = folder / name
    if not path.is_file():
        raise ModelError(
            f"data folder {folder} needs the file {name}, but has none; name the folder that has "
            f"it with --data"
        )
    return path


def _arrays(path, *names):
    """Arrays of an ``.npz``, each decompressed once."""
    try:
        with open_arrays(path) as file:
            return [file[name] for name in names]
    except KeyError as error:
        raise ModelError(
            f"data {path} needs the array {error.args[0].split()[0]}, but has none; copy it again"
        ) from None
    except (ArrayFileError, OSError) as error:
        raise ModelError(f"data {path} cannot be read: {error}; copy it again") from error
