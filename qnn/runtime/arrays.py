"""Arrays in NumPy's files: what a network is run on, each input by its name, and labels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hw.spec.image import Image
from qnn.array_file import ArrayFileError, read_arrays
from qnn.errors import DeviceError
from qnn.runtime.given import Given
from qnn.runtime.values import score_shapes


def read_inputs(image: Image, path: Path) -> Given:
    """The array of an ``.npy``, or of an ``.npz`` the array that each input's name has.

    Raises
    ------
    DeviceError
        It is neither, or an input's array is missing.
    """
    loaded, names = load(path), [layout.name for layout in image.network_inputs]
    if isinstance(loaded, np.ndarray) and len(names) == 1:
        return loaded
    return _one_or_all(_arrays(loaded, names, path))


def read_test_set(image: Image, path: Path) -> tuple[Given, np.ndarray | dict[str, np.ndarray]]:
    """Images and labels of an ``.npz`` with ``x_test`` and ``y_test``.

    Of several inputs, each has an ``x_test_NAME``; of several results, some have a ``y_test_0``,
    ``y_test_1``, ... by their numbers, and labels are by their names.

    Raises
    ------
    DeviceError
        It is no such file, or an array is missing.
    """
    names = [layout.name for layout in image.network_inputs]
    keys = [f"x_test_{name}" for name in names] if len(names) > 1 else ["x_test"]
    loaded, results = load(path), [*score_shapes(image)]
    numbered = {f"y_test_{number}": name for number, name in enumerate(results)}
    some = [key for key in numbered if not isinstance(loaded, np.ndarray) and key in loaded]
    if len(results) == 1 or not some:
        *images, labels = _arrays(loaded, [*keys, "y_test"], path)
        return _one_or_all(images), _column(labels)
    found = _arrays(loaded, [*keys, *some], path)
    labels = {numbered[key]: _column(loaded[key]) for key in some}
    return _one_or_all(found[: len(keys)]), labels


def _column(labels):
    # One label for each image may as well be a column.
    is_column = labels.ndim == 2 and labels.shape[1] == 1
    return labels.reshape(-1) if is_column else labels


def _one_or_all(arrays: Sequence[np.ndarray]) -> Given:
    return tuple(arrays) if len(arrays) > 1 else arrays[0]


def _arrays(loaded, keys, path):
    if isinstance(loaded, np.ndarray) or not set(keys) <= set(loaded):
        *first, last = keys
        listed = f"arrays {', '.join(first)} and {last}" if first else f"array {last}"
        these = {0: "it", 1: "both"}.get(len(first), "all")
        raise DeviceError(f"{path}: needs the {listed}; save {these} in an .npz")
    return [loaded[key] for key in keys]


def load(path: Path) -> np.ndarray | dict[str, np.ndarray]:
    """The array of an ``.npy``, or the arrays of an ``.npz``.

    Raises
    ------
    DeviceError
        It is neither.
    """
    try:
        return read_arrays(path)
    except FileNotFoundError:
        raise DeviceError(f"{path}: no such file; name one of NumPy's, .npy or .npz") from None
    except (ArrayFileError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DeviceError(f"{path}: cannot be read: {reason}; give an .npy or .npz") from None
