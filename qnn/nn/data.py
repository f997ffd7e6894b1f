"""Labelled images: scikit-learn's digits, or an ``.npz`` of the user's."""

import zipfile
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from qnn.errors import ModelError

DIGITS_LEVELS = 15  # per step of scikit-learn's digits, which run from 0 to 16
DIGITS_TEST = 360  # of 1797 images
ARRAYS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images (count, channels, height, width) uint8 and labels (count,) int64."""

    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor


def load_data(name: str) -> Dataset:
    """``digits``, or the ``.npz`` file of that name.

    The file holds ``x_train``, ``y_train``, ``x_test`` and ``y_test``; images are uint8 of shape
    (count, height, width, channels), or without channels.

    Raises
    ------
    ModelError
        The file is missing, cut, or not of that form.
    """
    if name == "digits":
        return digits()
    if not name.endswith(".npz"):
        raise ModelError(f"data needs to be 'digits' or an .npz file, not '{name}'; name one")
    try:
        with open(name, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {key: file[key] for key in ARRAYS}
    except KeyError:
        raise ModelError(
            f"data {name} needs the arrays {', '.join(ARRAYS)}, but one is missing; save all four"
        ) from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(
            f"data {name} cannot be read: {reason}; give an .npz with {', '.join(ARRAYS)}"
        ) from error
    return Dataset(
        *(
            _images(name, key, arrays[key]) if key[0] == "x" else _labels(name, key, arrays)
            for key in ARRAYS
        )
    )


def digits(seed: int = 0) -> Dataset:
    """scikit-learn's 1797 digits as 8-bit pixels, (count, 1, 8, 8); a fixed random part is test."""
    from sklearn.datasets import load_digits  # slow to import

    bunch = load_digits()
    order = np.random.default_rng(seed).permutation(len(bunch.target))
    images = torch.from_numpy((bunch.images[order] * DIGITS_LEVELS).astype(np.uint8))[:, None]
    labels = torch.from_numpy(bunch.target[order].astype(np.int64))
    train = len(labels) - DIGITS_TEST
    return Dataset(images[:train], labels[:train], images[train:], labels[train:])


def _images(name, key, array):
    if array.dtype != np.uint8 or array.ndim not in (3, 4) or not array.size:
        raise ModelError(
            f"data {name}: {key} needs uint8 images (count, height, width, channels), not "
            f"{array.dtype} {array.shape}; convert them"
        )
    array = array[..., None] if array.ndim == 3 else array
    return torch.from_numpy(np.ascontiguousarray(array.transpose(0, 3, 1, 2)))


def _labels(name, key, arrays):
    array, images = arrays[key], arrays["x" + key[1:]]
    array = array.reshape(-1) if array.ndim == 2 and array.shape[1] == 1 else array
    if not np.issubdtype(array.dtype, np.integer) or array.shape != (len(images),):
        raise ModelError(
            f"data {name}: {key} needs {len(images)} integer labels, not {array.dtype} "
            f"{array.shape}; give one an image"
        )
    return torch.from_numpy(array.astype(np.int64))
