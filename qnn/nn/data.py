"""Labelled images: scikit-learn's digits, or an ``.npz`` or a folder of the user's."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from qnn.array_file import ArrayFile, ArrayFileError, open_arrays
from qnn.errors import ModelError
from qnn.nn.folder import Progress, read_folder
from qnn.nn.preprocess import to_bytes

# 16 * 15 = 240: the brightest value stays a byte, and steps stay even.
DIGITS_LEVELS = 15  # per step of scikit-learn's digits, which run from 0 to 16
# A fifth, as is usual.
DIGITS_TEST = 360  # of 1797 images
MOST_CLASSES = 1 << 20  # far more than any head has; beyond, a label is a mistake
ARRAYS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images (count, channels, height, width) uint8 and labels (count,) int64."""

    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor


def load_data(name: str, progress: Progress | None = None) -> Dataset:
    """``digits``, or the ``.npz`` file or folder of images of that name.

    A file holds ``x_train``, ``y_train``, ``x_test`` and ``y_test``; images are uint8 of shape
    (count, height, width, channels), or without channels; int8 (spectra, say) becomes uint8 by
    ``to_bytes``. A folder is one of ``qnn.nn.folder.read_folder``.

    Parameters
    ----------
    progress : called with the images read and all images, of a folder

    Raises
    ------
    ModelError
        The data are missing, cut, or not of that form.
    """
    if name == "digits":
        return digits()
    if Path(name).is_dir():
        return Dataset(*read_folder(name, progress))
    if not name.endswith(".npz"):
        raise ModelError(
            f"data needs to be 'digits', an .npz file or a folder of images, not '{name}'; name one"
        )
    arrays = _arrays(name)
    images = {key: _images(name, key, arrays[key]) for key in ("x_train", "x_test")}
    labels = {
        key: labels_of(name, key, arrays[key], len(arrays["x" + key[1:]]))
        for key in ("y_train", "y_test")
    }
    _check_parts(name, images, labels)
    return Dataset(**images, **labels)


def digits(seed: int = 0) -> Dataset:
    """scikit-learn's 1797 digits as 8-bit pixels, (count, 1, 8, 8); a fixed random part is test."""
    from sklearn.datasets import load_digits  # slow to import

    bunch = load_digits()
    order = np.random.default_rng(seed).permutation(len(bunch.target))
    images = torch.from_numpy((bunch.images[order] * DIGITS_LEVELS).astype(np.uint8))[:, None]
    labels = torch.from_numpy(bunch.target[order].astype(np.int64))
    train = len(labels) - DIGITS_TEST
    return Dataset(images[:train], labels[:train], images[train:], labels[train:])


def _arrays(name):
    try:
        with opened(name) as file:
            return {key: file[key] for key in ARRAYS}
    except KeyError:
        raise ModelError(
            f"data {name} needs the arrays {', '.join(ARRAYS)}, but one is missing; save all four"
        ) from None


@contextmanager
def opened(name: str) -> Iterator[ArrayFile]:
    """The arrays of the ``.npz`` of that name, each of which is read when it is asked for.

    Raises
    ------
    ModelError
        The file, or an array that was asked for, cannot be read.
    """
    try:
        with open_arrays(Path(name)) as arrays:
            yield arrays
    except (ArrayFileError, OSError) as error:
        raise ModelError(
            f"data {name} cannot be read: {error}; give an .npz with {', '.join(ARRAYS)}"
        ) from error


def _images(name, key, array):
    array = to_bytes(array)
    if array.dtype != np.uint8 or array.ndim not in (3, 4):
        raise ModelError(
            f"data {name}: {key} needs uint8 images (count, height, width, channels), not "
            f"{array.dtype} {array.shape}; convert them"
        )
    if not array.size:
        raise ModelError(
            f"data {name}: {key} needs at least one image of one pixel, not {array.shape}; add some"
        )
    array = array[..., None] if array.ndim == 3 else array
    # Made contiguous once here: every batch would gather from a transposed view otherwise.
    return torch.from_numpy(np.ascontiguousarray(array.transpose(0, 3, 1, 2)))


def labels_of(name: str, key: str, array: np.ndarray, images: int) -> Tensor:
    """The labels in the array ``key`` of the file ``name``, (count,) int64, one per image.

    Raises
    ------
    ModelError
        They are of another shape or kind.
    """
    # CIFAR's files, as Keras gives them, have labels of shape (count, 1).
    array = array.reshape(-1) if array.ndim == 2 and array.shape[1] == 1 else array
    if not np.issubdtype(array.dtype, np.integer) or array.shape != (images,):
        raise ModelError(
            f"data {name}: {key} needs {images} integer labels, not {array.dtype} "
            f"{array.shape}; give one an image"
        )
    # A label of -1 marks images without one in some data sets; they cannot be learnt from.
    if array.min() < 0 or array.max() >= MOST_CLASSES:
        wrong = array.min() if array.min() < 0 else array.max()
        raise ModelError(
            f"data {name}: {key} needs labels from 0 to {MOST_CLASSES - 1}, not {wrong}; number "
            f"the classes from 0"
        )
    return torch.from_numpy(array.astype(np.int64))


def _check_parts(name, images, labels):
    """Check that both parts have images of one shape, and the same classes."""
    train, test = (tuple(x.shape[1:]) for x in images.values())
    if train != test:
        raise ModelError(
            f"data {name}: x_test needs images of shape {train} (channels, height, width) as "
            f"x_train has them, not {test}; make them alike"
        )
    known, found = (int(y.max()) for y in labels.values())
    if found > known:
        raise ModelError(
            f"data {name}: y_test needs labels from 0 to {known}, which y_train has, not {found}; "
            f"correct them"
        )
