"""Data of a network of several inputs: an ``.npz`` with an array for each, by the input's name."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from qnn.errors import ModelError
from qnn.nn.data import labels_of, opened
from qnn.nn.preprocess import to_bytes

TRAIN, TEST = "train", "test"  # the parts of a file, in its arrays' names
# Files have an image's channels last; an array of any other axes is as the model takes it.
CHANNELS_LAST = ("CHW", "C")


@dataclass(frozen=True, eq=False)
class NamedDataset:
    """Images or vectors of each input, in the inputs' order, and labels where the file has some.

    Members
    -------
    x_train, x_test : (count, channels, height, width), (count, features) or (count, *axes) of each
        input; uint8, or what the float model takes
    y_test : (count,) int64
    """

    x_train: tuple[Tensor, ...]
    x_test: tuple[Tensor, ...]
    y_test: Tensor | None


def named_inputs(name: str) -> tuple[str, ...]:
    """Names of the inputs that the file has training arrays for; none if it is of another form.

    Raises
    ------
    ModelError
        An ``.npz`` that cannot be read.
    """
    if not name.endswith(".npz"):
        return ()
    with opened(name) as file:
        start = _key(TRAIN, "")
        return tuple(key.removeprefix(start) for key in file.files if key.startswith(start))


def load_named(name: str, inputs: Mapping[str, str]) -> NamedDataset:
    """Both parts of the file, for ``inputs`` as ``read_part`` takes them; raises as it does."""
    train, _ = read_part(name, TRAIN, inputs)
    return NamedDataset(train, *read_part(name, TEST, inputs))


def read_part(
    name: str, part: str, inputs: Mapping[str, str]
) -> tuple[tuple[Tensor, ...], Tensor | None]:
    """Arrays ``x_PART_NAME`` of each input, and labels ``y_PART``, None where there are none.

    Parameters
    ----------
    inputs : the axes of each input (``qnn.ir.shape``), by its name and in the network's order

    Raises
    ------
    ModelError
        The data are missing, cut, or not of that form; the text names the input.
    """
    if not name.endswith(".npz"):
        raise ModelError(
            f"data for the inputs {_quoted(inputs)} need to be an .npz file with an array "
            f"x_{part}_NAME for each, not '{name}'; save one"
        )
    with opened(name) as file:
        for each in inputs:
            if _key(part, each) not in file:
                raise ModelError(
                    f"data {name}: input '{each}' needs the array {_key(part, each)}, but the file "
                    f"has {', '.join(file.files)}; save one for each input"
                )
        arrays = {each: file[_key(part, each)] for each in inputs}
        labels = file[f"y_{part}"] if f"y_{part}" in file else None
    first = next(iter(arrays))
    for each, array in arrays.items():
        _check_array(name, _key(part, each), array)
        if len(array) != len(arrays[first]):
            raise ModelError(
                f"data {name}: {_key(part, each)} needs {len(arrays[first])} images, as many as "
                f"{_key(part, first)}, not {len(array)}; pair them"
            )
    tensors = tuple(_tensor(array, inputs[each]) for each, array in arrays.items())
    if labels is not None:
        labels = labels_of(name, f"y_{part}", labels, len(arrays[first]))
    return tensors, labels


def _key(part, name):
    return f"x_{part}_{name}"


def _quoted(names):
    return ", ".join(f"'{name}'" for name in names)


def _check_array(name, key, array):
    is_number = array.dtype in (np.uint8, np.int8) or np.issubdtype(array.dtype, np.floating)
    if not is_number or array.ndim not in (2, 3, 4):
        raise ModelError(
            f"data {name}: {key} needs 8-bit pixels or floats of shape (count, height, width, "
            f"channels) or (count, features), not {array.dtype} {array.shape}; convert them"
        )
    if not array.size:
        raise ModelError(
            f"data {name}: {key} needs at least one value, not {array.shape}; add some"
        )


def _tensor(array, axes):
    array = to_bytes(array)
    if axes in CHANNELS_LAST and array.ndim == 3:
        array = array[..., None]
    if axes in CHANNELS_LAST and array.ndim == 4:
        array = array.transpose(0, 3, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(array))
