"""Values of a host program in the making: which tensors, constants and steps, with their shapes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx

from qnn.frontend.faults import Fault, FaultyModel, site_of
from qnn.frontend.image_axes import kept_axis
from qnn.host.operations import BATCH
from qnn.host.program import HostProgram
from qnn.host.step import CONSTANT, HostStep


class NotForHost(Exception):
    """A call that no step of the host computes as it is."""


@dataclass(frozen=True, eq=False)
class HostValue:
    """A tensor of the network, a constant, or the result of a step.

    Members
    -------
    shape : with the images of the exported program
    axis : which of its axes the images lie along; None: of a constant
    node : that gives a tensor or constant; None: a number or a step
    step, operands : of a result
    call : whose result it is, where it is that of a call
    number : of a constant that no node gives
    """

    shape: tuple[int, ...]
    axis: int | None
    node: fx.Node | None = None
    step: HostStep | None = None
    operands: tuple["HostValue", ...] = ()
    call: fx.Node | None = None
    number: float = 0.0


@dataclass
class HostValues:
    """Makes values, each once.

    Members
    -------
    batch : images of the exported program
    axes : which axis of each node's tensor they lie along
    """

    batch: int
    axes: Mapping[fx.Node, int]
    _constants: dict[Any, HostValue] = field(default_factory=dict)

    def tensor(self, node: fx.Node) -> HostValue:
        """What the network gives."""
        held = node.meta.get("val")
        if not isinstance(held, Tensor):
            raise NotForHost
        return HostValue(tuple(held.shape), self.axes.get(node, 0), node)

    def constant(self, given: fx.Node | float) -> HostValue:
        """A constant of the program, or a number that stands in it."""
        if given not in self._constants:
            if isinstance(given, fx.Node):
                held = given.meta.get("val")
                shape = tuple(held.shape) if isinstance(held, Tensor) else ()
                self._constants[given] = HostValue(shape, None, given)
            else:
                self._constants[given] = HostValue((), None, number=float(given))
        return self._constants[given]

    def step(
        self,
        name: str,
        operands: Sequence[HostValue],
        numbers: tuple[int, ...] = (),
        *,
        shape: tuple[int, ...],
        axis: int,
    ) -> HostValue:
        """The result of a step, of that shape and with the images along that axis."""
        return HostValue(shape, axis, None, HostStep(name, (), numbers), tuple(operands))

    def broadcast(self, name: str, *operands: HostValue) -> HostValue:
        """A step on values as PyTorch broadcasts them."""
        shape = tuple(torch.broadcast_shapes(*(each.shape for each in operands)))
        # Axes are counted from the last one.
        axes = {e.axis + len(shape) - len(e.shape) for e in operands if e.axis is not None}
        if len(axes) != 1:
            raise NotForHost
        return self.step(name, operands, shape=shape, axis=axes.pop())

    def reshaped(self, value: HostValue, shape: tuple[int, ...]) -> HostValue:
        """The same values in order, in another shape, which keeps the images' axis whole."""
        if shape == value.shape:
            return value
        axis = kept_axis(value.shape, value.axis, shape, self.batch)
        if axis is None:
            raise NotForHost
        return self.step("reshape", [value], sizes_of(shape, axis), shape=shape, axis=axis)

    def along(self, name: str, value: HostValue, axis: int) -> HostValue:
        """A step along an axis of one image, which keeps the axis or, of a reduction, takes it."""
        # Images never meet.
        if axis == value.axis:
            raise NotForHost
        kept = name in ("softmax", "log_softmax")
        shape = value.shape if kept else (*value.shape[:axis], *value.shape[axis + 1 :])
        moved = value.axis - (not kept and axis < value.axis)
        return self.step(name, [value], (axis,), shape=shape, axis=moved)


def sizes_of(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    """A shape as a step takes it, with ``BATCH`` for the images along ``axis``."""
    return tuple(BATCH if n == axis else size for n, size in enumerate(shape))


def program_of(
    tensors: Sequence[HostValue],
    results: Sequence[HostValue],
    structure: Callable[[list[int]], Any],
    values: Mapping[fx.Node, Any],
    batch: int,
) -> HostProgram:
    """The program that computes ``results`` of the network's ``tensors``.

    Parameters
    ----------
    structure : nests the results' numbers as the user's model does
    values : of constants, by their nodes

    Raises
    ------
    FaultyModel
        A constant is not finite, or not the same for all images.
    """
    numbers = {id(value): number for number, value in enumerate(tensors)}
    steps: list[HostStep] = []
    for number, value in enumerate(tensors):
        if value.axis:
            # The network's tensors have images first; the host puts them where the model has them.
            axes = list(range(1, len(value.shape)))
            axes.insert(value.axis, 0)
            steps.append(HostStep("permute", (number,), tuple(axes)))
            numbers[id(value)] = len(tensors) + len(steps) - 1

    def number_of(value: HostValue, reader: HostValue | None = None) -> int:
        if id(value) not in numbers:
            if value.step is None:
                step = _constant(value, reader, values, batch)
            else:
                operands = tuple(number_of(each, value) for each in value.operands)
                step = HostStep(value.step.name, operands, value.step.numbers)
            steps.append(step)
            numbers[id(value)] = len(tensors) + len(steps) - 1
        return numbers[id(value)]

    # In the order of the results, and each operand before what reads it.
    found = [number_of(value) for value in results]
    return HostProgram(len(tensors), tuple(steps), structure(found))


def _constant(value, reader, values, batch):
    held = values[value.node] if value.node is not None else value.number
    # A number of the program is the user's own, with all its digits.
    array = torch.as_tensor(held, dtype=torch.float64).detach().cpu()
    if not bool(array.isfinite().all()):
        raise _refused(value, reader, "a finite constant", "infinity or NaN", "clamp it")
    # Counted from the last axis, as it is broadcast.
    place = array.dim() - len(reader.shape) + reader.axis
    if place >= 0 and array.shape[place] == batch != 1:
        first = array.narrow(place, 0, 1)
        if not bool((array == first).all()):
            got, do = "one that differs from image to image", "give it as an input of the network"
            raise _refused(value, reader, "a constant that is the same for all images", got, do)
        array = first
    return HostStep(CONSTANT, (), tuple(array.shape), tuple(array.flatten().tolist()))


def _refused(value, reader, needs, got, do):
    site = site_of(reader.call or value.node)
    return FaultyModel([Fault(site, f"needs {needs}, not {got}", do)])
