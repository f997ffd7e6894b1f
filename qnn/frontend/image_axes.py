"""Which axis the images of a batch lie along, of every tensor of a program, by shapes alone."""

from collections.abc import Iterable, Mapping
from math import prod

import torch
from torch import Tensor, fx

from qnn.frontend.faults import target_of

RESHAPES = ("view", "reshape", "_unsafe_view", "flatten", "unflatten", "squeeze", "unsqueeze")
RESHAPES += ("view_as", "reshape_as", "ravel")
PERMUTES = ("permute", "transpose", "t", "mT", "movedim", "swapaxes", "swapdims", "numpy_T")


def image_axes(
    nodes: Iterable[fx.Node], computed: Iterable[fx.Node], batch: int
) -> Mapping[fx.Node, int]:
    """The axis of each tensor that depends on the inputs; where shapes leave it open, a guess.

    Who relies on it is refused a tensor whose images lie otherwise, value by value.
    """
    computed, found = set(computed), {}
    for node in nodes:
        held = node.meta.get("val")
        held = held[0] if isinstance(held, tuple | list) and held else held
        if node in computed and isinstance(held, Tensor):
            before = [(each, found[each]) for each in node.all_input_nodes if each in found]
            found[node] = _axis(node, before, tuple(held.shape), batch)
    return found


def _axis(node, before, shape, batch):
    if not before:
        return 0
    (operand, axis), name = before[0], target_of(node).removeprefix("aten.")
    given = operand.meta["val"]
    if name in PERMUTES:
        return permuted(node, given.dim()).index(axis)
    if name in RESHAPES:
        return kept_axis(tuple(given.shape), axis, shape, batch) or 0
    axes = [each for _, each in before if each < len(shape) and shape[each] == batch]
    # As in an operand, or the only one of the batch's size.
    return axes[0] if axes else next((n for n, size in enumerate(shape) if size == batch), 0)


def permuted(node: fx.Node, rank: int) -> tuple[int, ...]:
    """The axes of its operand in the order in which a call puts them."""
    # Sizes that all differ tell which axis goes where.
    probe = torch.empty(tuple(range(2, 2 + rank)), device="meta")
    return tuple(size - 2 for size in node.target(probe, *node.args[1:], **node.kwargs).shape)


def kept_axis(before: tuple[int, ...], axis: int, after: tuple[int, ...], batch: int) -> int | None:
    """Where the axis of the images is in another shape of the same values; None: nowhere whole."""
    if prod(before) != prod(after):
        return None
    outer = prod(before[:axis])
    places = [n for n, size in enumerate(after) if size == batch and prod(after[:n]) == outer]
    return places[0] if places else None
