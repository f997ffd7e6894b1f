"""Which axis the images of a batch lie along, of every tensor of a program, by shapes alone."""

from collections.abc import Iterable, Mapping
from math import prod

import torch
from torch import Tensor, fx

from qnn.frontend.faults import target_of

RESHAPES = ("view", "reshape", "_unsafe_view", "flatten", "unflatten", "squeeze", "unsqueeze")
RESHAPES += ("view_as", "reshape_as", "ravel")
PERMUTES = ("permute", "transpose", "t", "mT", "movedim", "swapaxes", "swapdims", "numpy_T")

PROBE = 97  # images, a size that no other axis is likely to have


def image_axes(
    nodes: Iterable[fx.Node], computed: Iterable[fx.Node], batch: int
) -> Mapping[fx.Node, int]:
    """The axis of each tensor that depends on the inputs; where shapes leave it open, a guess.

    Who relies on it is refused a tensor whose images lie otherwise, value by value.
    """
    computed, found = set(computed), {}
    # Of tensors whose images are joined with others to one axis, how many values lie before them.
    inside: dict[fx.Node, int] = {}
    for node in nodes:
        held = node.meta.get("val")
        held = held[0] if isinstance(held, tuple | list) and held else held
        if node in computed and isinstance(held, Tensor):
            before = [(each, found[each]) for each in node.all_input_nodes if each in found]
            shape = tuple(held.shape)
            # Where several axes have as many values, shapes of other batches tell.
            axis = _probed(node, dict(before)) if _is_open(node, shape, batch) else None
            found[node] = _axis(node, before, shape, batch, inside) if axis is None else axis
    return found


def _is_open(node, shape, batch):
    # The sizes of a reshape have this batch among them, beside which a -1 takes in any other; and
    # the order of its values, which stays, leaves nothing open.
    return shape.count(batch) > 1 and _name(node) not in RESHAPES


def _name(node):
    return target_of(node).removeprefix("aten.")


def _probed(node, before) -> int | None:
    """The axis that a batch of another size has in what a call gives; None: it takes no other."""
    try:
        given = fx.map_arg((node.args, node.kwargs), lambda each: _probe(each, before.get(each)))
        result = node.target(*given[0], **given[1])
    # Any that a call may raise, as a view does that has the batch among its sizes.
    except Exception:
        return None
    places = [n for n, size in enumerate(getattr(result, "shape", ())) if size == PROBE]
    return places[0] if len(places) == 1 else None


def _probe(node, axis):
    """A tensor without values like that of ``node``, with another batch along ``axis``."""
    held = node.meta["val"]
    shape = list(held.shape)
    if axis is not None:
        shape[axis] = PROBE
    return torch.empty(shape, dtype=held.dtype, device="meta")


def _axis(node, before, shape, batch, inside):
    if not before:
        return 0
    (operand, axis), name = before[0], _name(node)
    given = operand.meta["val"]
    if name in PERMUTES:
        return permuted(node, given.dim()).index(axis)
    if name in RESHAPES:
        outer = inside.get(operand, prod(given.shape[:axis]))
        kept = _place(outer, shape, batch)
        if kept is None:
            inside[node] = outer
        return kept or 0
    # What computes on the other axes leaves the first as it is.
    if operand in inside and shape[:1] == tuple(getattr(given, "shape", ()))[:1]:
        inside[node] = inside[operand]
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
    return _place(prod(before[:axis]), after, batch)


def _place(outer, after, batch):
    """The axis of as many values as images, before which lie as many as before the images."""
    places = [n for n, size in enumerate(after) if size == batch and prod(after[:n]) == outer]
    return places[0] if places else None
