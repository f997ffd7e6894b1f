"""Data of a network of several inputs: an ``.npz`` with an array for each, by the input's name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qnn.errors import ModelError
from qnn.nn.arrays import Refusal, channels_first, checked_numbers
from qnn.nn.data import Labels, labels_in, opened
from qnn.nn.tensors import as_tensor

if TYPE_CHECKING:
    from torch import Tensor


TRAIN, TEST = "train", "test"  # the parts of a file, in its arrays' names
# Files have an image's channels last; an array of any other axes is as the model takes it.
CHANNELS_LAST = ("CHW", "C")
Input = tuple[str, Refusal | None]  # axes, and why a shape is not taken


@dataclass(frozen=True, eq=False)
class NamedDataset:
    """Images or vectors of each input, in the inputs' order, and labels where the file has some.

    Members
    -------
    x_train, x_test : (count, channels, height, width), (count, features) or (count, *axes) of each
        input; uint8, or what the float model takes
    y_train, y_test : as ``qnn.nn.data.Dataset`` has them
    """

    x_train: "tuple[Tensor, ...]"
    x_test: "tuple[Tensor, ...]"
    y_train: Labels
    y_test: Labels


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


def load_named(name: str, inputs: Mapping[str, Input], layout: str | None = None) -> NamedDataset:
    """Both parts of the file, for ``inputs`` as ``read_part`` takes them; raises as it does."""
    x_train, y_train = read_part(name, TRAIN, inputs, layout)
    x_test, y_test = read_part(name, TEST, inputs, layout)
    return NamedDataset(x_train, x_test, y_train, y_test)


def read_part(
    name: str, part: str, inputs: Mapping[str, Input], layout: str | None = None
) -> "tuple[tuple[Tensor, ...], Labels]":
    """Arrays ``x_PART_NAME`` of each input, and labels ``y_PART``, None where there are none.

    Parameters
    ----------
    inputs : the axes of each input (``qnn.ir.shape``) and why it does not take a shape, by its name
        and in the network's order
    layout : of images, as ``channels_first`` takes it

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
        first = next(iter(arrays))
        labels = labels_in(name, file, part, len(np.atleast_1d(arrays[first])))
    for each, array in arrays.items():
        arrays[each] = checked_numbers(f"data {name}: {_key(part, each)}", array)
        if len(array) != len(arrays[first]):
            raise ModelError(
                f"data {name}: {_key(part, each)} needs {len(arrays[first])} images, as many as "
                f"{_key(part, first)}, not {len(array)}; pair them"
            )
    tensors = tuple(
        _tensor(f"data {name}: {_key(part, each)}", array, inputs[each], layout)
        for each, array in arrays.items()
    )
    return tensors, labels


def _key(part, name):
    return f"x_{part}_{name}"


def _quoted(names):
    return ", ".join(f"'{name}'" for name in names)


def _tensor(who, array, given: Input, layout):
    axes, refusal = given
    if axes in CHANNELS_LAST:
        return channels_first(who, array, layout, refusal)
    return as_tensor(np.ascontiguousarray(array))
