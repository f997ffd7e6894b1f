"""Outputs of the network: what a tensor is for the host, which lays it out and may finish it."""

from dataclasses import replace
from itertools import permutations
from math import prod

import torch
from torch import Tensor, fx

from qnn.frontend.faults import FaultyModel, site_of, target_of
from qnn.frontend.materialise import Materialise
from qnn.frontend.views import View, in_order, whole
from qnn.ir.shape import Order

# What the host computes in float64 at the end of a network, by ATen's names.
FINISHED = {
    "aten.softmax": "softmax",
    "aten._softmax": "softmax",
    "aten.log_softmax": "log_softmax",
    "aten._log_softmax": "log_softmax",
}


def is_finished(node: fx.Node) -> bool:
    """Whether ``node`` is a function of scores that the network gives to the user, and no more."""
    if target_of(node) not in FINISHED or any(user.op != "output" for user in node.users):
        return False
    # In one type: a cast would be another function.
    return node.meta["val"].dtype == torch.float32 and node.meta["val"].dim() > 1


def function_of(node: fx.Node) -> tuple[str, int]:
    """The function of a finished node, and its axis without the batch."""
    rank, dim = node.meta["val"].dim(), node.args[1]
    if dim % rank == 0:
        raise View("", site_of(node), (), torch.empty(0)).refuse(
            "to run over an axis of one image", "over the batch", "name another axis"
        )
    return FINISHED[target_of(node)], dim % rank - 1


def of_one_operator(view: View, make: Materialise) -> View:
    """The tensor as a view of one operator, which has its axes in whatever order.

    Raises
    ------
    FaultyModel
        There is none; it says what the tensor lacks with its axes as they are.
    """
    if in_order(view) or layout_of(view, make.batch) is not None:
        return view
    faults: list[FaultyModel] = []
    for axes in permutations(range(1, view.index.dim())):
        try:
            block = make(view.at(view.index.permute(0, *axes)))
        except FaultyModel as error:
            faults.append(error)
            continue
        # Steps of a recurrence, of which each has all features, are such: the axes change places.
        laid = whole(block, tuple(view.index.shape[axis] for axis in (0, *axes)))
        back = sorted(range(view.index.dim()), key=(0, *axes).__getitem__)
        return replace(laid, site=view.site, index=laid.index.permute(back))
    raise faults[0]


def layout_of(view: View, batch: int) -> Order | None:
    """The order of an only operator's values that a view is; None: it selects or repeats some."""
    index = view.index
    whole = len(view.sources) == 1 and index.numel() == batch * view.total
    if not whole or index.dim() < 1 or len(index) != batch:
        return None
    places = view.of_one_image(batch).flatten()
    dims = _dims(places)
    if dims is None or int(places[0]):
        return None
    # The longest distance is the first size of the block's own order.
    slots = sorted(range(len(dims)), key=lambda n: -dims[n][1])
    sizes = tuple(dims[n][0] for n in slots)
    reach = 1
    for n in reversed(slots):
        if dims[n][1] != reach:
            return None
        reach *= dims[n][0]
    return Order(sizes, tuple(slots.index(n) for n in range(len(dims))))


def axes_of(
    view: View, order: Order | None, shape: tuple[int, ...], function: tuple[str, int] | None
) -> str | None:
    """The axes of an output of ``shape``; None where it is its block in the block's own order."""
    if function is not None:
        # What is computed on has the user's shape, so that its block is that already.
        order = order or Order((prod(shape),), (0,))
        return str(replace(order, function=function[0], along=function[1]))
    return None if order is None or in_order(view) else str(order)


def _dims(places: Tensor) -> list[tuple[int, int]] | None:
    """Size and distance of the axes along which places lie, the outermost first."""
    dims: list[tuple[int, int]] = []
    while len(places) > 1:
        step = int(places[1] - places[0])
        breaks = (places[1:] - places[:-1] != step).nonzero()
        size = int(breaks[0]) + 1 if len(breaks) else len(places)
        if step < 1 or len(places) % size:
            return None
        rows = places.reshape(-1, size)
        if not bool((rows - rows[:, :1] == torch.arange(size) * step).all()):
            return None
        dims.append((size, step))
        places = rows[:, 0]
    return dims[::-1] or [(1, 1)]
