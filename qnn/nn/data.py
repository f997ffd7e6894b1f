"""Samples with their labels: scikit-learn's digits, or an ``.npz`` or a folder of the user's."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from qnn.array_file import ArrayFile, ArrayFileError, open_arrays
from qnn.errors import ModelError
from qnn.nn.arrays import Refusal, channels_first, checked_labels, checked_numbers
from qnn.nn.folder import Progress, read_folder
from qnn.nn.tensors import as_tensor

if TYPE_CHECKING:
    from torch import Tensor


# 16 * 15 = 240: the brightest value stays a byte, and steps stay even.
DIGITS_LEVELS = 15  # per step of scikit-learn's digits, which run from 0 to 16
# A fifth, as is usual.
DIGITS_TEST = 360  # of 1797 images
MOST_OUTPUTS = 64  # of a network, that a file may label
ARRAYS = ("x_train", "y_train", "x_test", "y_test")


# int64 of classes, float32 of values; of several outputs one entry each; None where there are none.
Labels = "Tensor | tuple[Tensor | None, ...] | None"


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training and test samples with their labels.

    Members
    -------
    x_train, x_test : (count, channels, height, width), or (count, features); uint8 pixels, or
        float32 as the model takes them
    y_train, y_test : (count,) int64 of classes, or as the task has them (``qnn.tasks.kinds``)
    """

    x_train: "Tensor"
    y_train: Labels
    x_test: "Tensor"
    y_test: Labels


def load_data(
    name: str,
    progress: Progress | None = None,
    layout: str | None = None,
    refusal: Refusal | None = None,
) -> Dataset:
    """``digits``, or the ``.npz`` file or folder of images of that name.

    A file holds ``x_train`` and ``x_test``, and ``y_train`` and ``y_test`` where they are known.
    Samples are images (count, height, width, channels), channels first, or without channels, or
    vectors (count, features); 8-bit pixels, of which int8 (spectra, say) becomes uint8 by
    ``to_bytes``, or floats as the model takes them. Labels are ``checked_labels``. A folder is one
    of ``qnn.nn.folder.read_folder``.

    Parameters
    ----------
    progress : called with the images read and all images, of a folder
    layout, refusal : of images, as ``channels_first`` takes them

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
    images, labels = {}, {}
    with opened(name) as file:
        for part in ("train", "test"):
            key = f"x_{part}"
            if key not in file:
                raise ModelError(
                    f"data {name} needs the arrays x_train and x_test, and y_train and y_test "
                    f"where labels are known, but has {', '.join(file.files) or 'none'}; save them"
                )
            who = f"data {name}: {key}"
            array = checked_numbers(who, file[key])
            images[key] = channels_first(who, array, layout, refusal)
            labels[f"y_{part}"] = labels_in(name, file, part, len(array))
    _check_parts(name, images)
    return Dataset(**images, **labels)


def digits(seed: int = 0) -> Dataset:
    """scikit-learn's 1797 digits as 8-bit pixels, (count, 1, 8, 8); a fixed random part is test."""
    from sklearn.datasets import load_digits  # slow to import

    bunch = load_digits()
    order = np.random.default_rng(seed).permutation(len(bunch.target))
    images = as_tensor((bunch.images[order] * DIGITS_LEVELS).astype(np.uint8))[:, None]
    labels = as_tensor(bunch.target[order].astype(np.int64))
    train = len(labels) - DIGITS_TEST
    return Dataset(images[:train], labels[:train], images[train:], labels[train:])


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


def labels_in(name: str, file: ArrayFile, part: str, samples: int) -> Labels:
    """Labels ``y_PART``, or ``y_PART_0``, ``y_PART_1`` ... of several outputs; None without any."""
    key = f"y_{part}"
    if key in file:
        return checked_labels(f"data {name}: {key}", file[key], samples)
    start = f"{key}_"
    numbers = [k.removeprefix(start) for k in file.files if k.startswith(start)]
    # A name like y_test_999999999 is no output's.
    counted = [int(n) for n in numbers if n.isdecimal() and len(n) < 4 and int(n) < MOST_OUTPUTS]
    if not counted:
        return None
    keys = [f"{start}{number}" for number in range(max(counted) + 1)]
    return tuple(
        checked_labels(f"data {name}: {k}", file[k], samples) if k in file else None for k in keys
    )


def _check_parts(name, images):
    """Check that both parts have images of one shape and one kind."""
    train, test = images.values()
    if train.shape[1:] != test.shape[1:]:
        raise ModelError(
            f"data {name}: x_test needs samples of shape {tuple(train.shape[1:])}, channels first, "
            f"as x_train has them, not {tuple(test.shape[1:])}; make them alike"
        )
    if train.dtype != test.dtype:
        kinds = {"uint8": "8-bit pixels", "float32": "floats"}
        had, got = (kinds[str(x.dtype).removeprefix("torch.")] for x in (train, test))
        raise ModelError(
            f"data {name}: x_test needs {had} as x_train has, not {got}; convert one of them"
        )
