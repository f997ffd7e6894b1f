"""ATen's calls that move values, as steps of the host: reshapes, permutes, cuts and joins."""

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import torch
from torch import fx

from qnn.frontend.faults import target_of
from qnn.frontend.host_values import HostValue, HostValues, NotForHost, sizes_of
from qnn.frontend.image_axes import PERMUTES, RESHAPES, permuted

Operand = Callable[[object], HostValue]  # the value of a node or number that a call is given
Reader = Callable[[fx.Node, HostValues, Operand], HostValue]

SAME = ("clone", "contiguous", "alias", "detach", "to", "_to_copy", "lift_fresh_copy")
CUTS = ("slice", "select", "narrow", "index_select")
PARTS = ("split", "split_with_sizes", "chunk", "unbind", "tensor_split", "unsafe_split")
PARTS += ("unsafe_chunk", "unsafe_split_with_sizes")


def shape_of(node: fx.Node) -> tuple[int, ...]:
    """The shape of what a call gives, with the images of the exported program."""
    return tuple(node.meta["val"].shape)


def given_to(node: fx.Node, place: int, name: str, default: Any = None) -> Any:
    """An argument of a call, by its place or its name."""
    return node.args[place] if len(node.args) > place else node.kwargs.get(name, default)


def _reshape(node, values, operand):
    return values.reshaped(operand(node.args[0]), shape_of(node))


def _permute(node, values, operand):
    value = operand(node.args[0])
    axes = permuted(node, len(value.shape))
    shape = tuple(value.shape[axis] for axis in axes)
    return values.step("permute", [value], axes, shape=shape, axis=axes.index(value.axis))


def _same(node, values, operand):
    return operand(node.args[0])


def _cut(node, values, operand):
    return _box(node, values, operand(node.args[0]), node.target, node.args[1:], node.kwargs)


def part_of(node: fx.Node, values: HostValues, operand: Operand) -> HostValue:
    """One of the parts that a tensor is cut into."""
    call, index = node.args
    if target_of(call).removeprefix("aten.") not in PARTS:
        raise NotForHost

    def part(places, *args, **kwargs):
        return call.target(places, *args, **kwargs)[index]

    return _box(node, values, operand(call.args[0]), part, call.args[1:], call.kwargs)


def _box(node, values, value, function, args, kwargs):
    """A cut of evenly spaced places of each axis, from what the call takes of all places."""
    if any(isinstance(each, fx.Node) for each in (*args, *kwargs.values())):
        raise NotForHost
    # PyTorch itself says which places the call takes, whatever its arguments mean.
    places = torch.arange(prod(value.shape)).reshape(value.shape)
    taken = function(places, *args, **kwargs).flatten()
    # Of nothing there is no first place.
    if not len(taken):
        raise NotForHost
    rest = taken
    axes = []
    for size in reversed(value.shape):
        axes.append((rest % size).unique())
        rest = rest // size
    found = value
    for axis, kept in enumerate(reversed(axes)):
        step = int(kept[1] - kept[0]) if len(kept) > 1 else 1
        places = places.index_select(axis, kept)
        if len(kept) == value.shape[axis]:
            continue
        cut = (axis, int(kept[0]), int(kept[-1]) + 1, step)
        if axis == value.axis or not torch.equal(kept, torch.arange(*cut[1:])):
            raise NotForHost
        found = values.step("slice", [found], cut, shape=tuple(places.shape), axis=found.axis)
    # Anything else than such a cut has places in another order, or some of them twice.
    if not torch.equal(places.flatten(), taken):
        raise NotForHost
    return values.reshaped(found, shape_of(node))


def _expand(node, values, operand):
    value, shape = operand(node.args[0]), shape_of(node)
    axis = value.axis + len(shape) - len(value.shape)
    return values.step("expand", [value], sizes_of(shape, axis), shape=shape, axis=axis)


def _cat(node, values, operand):
    shape = shape_of(node)
    return _joined(values, list(map(operand, node.args[0])), _axis(node, shape), shape)


def _stack(node, values, operand):
    shape = shape_of(node)
    axis = _axis(node, shape)
    part = (*shape[:axis], 1, *shape[axis + 1 :])
    # A stack is what was given an axis of one, side by side.
    parts = [values.reshaped(operand(each), part) for each in node.args[0]]
    return _joined(values, parts, axis, shape)


def _axis(node, shape):
    return given_to(node, 1, "dim", 0) % len(shape)


def _joined(values, parts, axis, shape):
    (along, *others) = {part.axis for part in parts}
    if others or along is None or along == axis:
        raise NotForHost
    return values.step("cat", parts, (axis,), shape=shape, axis=along)


MOVES: Mapping[str, Reader] = {
    **dict.fromkeys(RESHAPES, _reshape),
    **dict.fromkeys(PERMUTES, _permute),
    **dict.fromkeys(SAME, _same),
    **dict.fromkeys(CUTS, _cut),
    **dict.fromkeys(("expand", "expand_as", "broadcast_to"), _expand),
    **dict.fromkeys(("cat", "concat", "concatenate"), _cat),
    "stack": _stack,
}
