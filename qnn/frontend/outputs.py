"""Outputs of the network: what a tensor is for the host, which lays it out and may finish it."""

import operator
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise, permutations
from math import prod

import torch
from torch import Tensor, fx

from qnn.frontend.faults import FaultyModel, site_of, target_of
from qnn.frontend.materialise import Materialise
from qnn.frontend.side_by_side import ends_of
from qnn.frontend.views import Held, View, in_order, view_of, whole
from qnn.ir.graph import Output
from qnn.ir.shape import Order, order_of

# What the host computes in float64 at the end of a network, by ATen's names.
FINISHED = {
    "aten.softmax": "softmax",
    "aten._softmax": "softmax",
    "aten.log_softmax": "log_softmax",
    "aten._log_softmax": "log_softmax",
}
ARGMAX = "aten.argmax"
# Their second result is an argmax, where it alone is used.
WITH_PLACES = ("aten.max", "aten.topk")


def is_finished(node: fx.Node) -> bool:
    """Whether ``node`` is a function of scores that the network gives to the user, and no more."""
    if target_of(node) in FINISHED:
        only = all(user.op == "output" or _chooses_alike(user, node) for user in node.users)
    else:
        only = _is_argmax(node) and all(user.op == "output" for user in node.users)
    # In one type: a cast would be another function.
    return only and _scores(node).dtype == torch.float32 and _scores(node).dim() > 1


def has_finished_places(node: fx.Node) -> bool:
    """Whether of a call's results the places of the greatest values alone are used, by the host."""
    return target_of(node) in WITH_PLACES and all(map(is_finished, node.users))


def scores_of(node: fx.Node) -> fx.Node:
    """What a finished node is computed of."""
    return (node.args[0] if node.target is operator.getitem else node).args[0]


def _scores(node):
    return scores_of(node).meta["val"]


def _is_argmax(node):
    if node.target is not operator.getitem:
        return target_of(node) == ARGMAX
    call, index = node.args
    if index != 1 or target_of(call) not in WITH_PLACES:
        return False
    # Of more than the greatest value the order is another question.
    return target_of(call) != "aten.topk" or (call.args[1] == 1 and all(call.args[3:4]))


def _chooses_alike(user, node):
    """Whether ``user`` is an argmax of probabilities, whose order is that of their scores."""
    choices = list(user.users) if has_finished_places(user) else [user]
    return all(
        _is_argmax(each) and is_finished(each) and _axis_of(each) == _axis_of(node)
        for each in choices
    )


def _axis_of(node):
    """The axis of the scores that a finished node runs over, the batch's too; None: all."""
    call = node.args[0] if node.target is operator.getitem else node
    if target_of(call) == "aten.topk":
        dim = call.args[2] if len(call.args) > 2 else -1
    else:
        dim = call.args[1] if len(call.args) > 1 else None
    return None if dim is None else dim % _scores(node).dim()


def function_of(node: fx.Node) -> tuple[str, int]:
    """The function of a finished node, and its axis without the batch."""
    axis = _axis_of(node)
    if not axis:
        raise View("", site_of(node), (), torch.empty(0)).refuse(
            "to run over an axis of one image", "over the batch", "name another axis"
        )
    if not _is_argmax(node):
        return FINISHED[target_of(node)], axis - 1
    kept = node.meta["val"].dim() == _scores(node).dim()
    return "argmax_keepdim" if kept else "argmax", axis - 1


def outputs_of(
    node: fx.Node,
    value: Held,
    function: tuple[str, int] | None,
    make: Materialise,
    label: str | None = None,
) -> list[Output]:
    """The outputs of which a tensor of the user's consists: one, or parts along one of its axes.

    Parameters
    ----------
    value : of ``node``, or what a finished one is computed of
    function : what the host computes of ``value``, and its axis
    label : its name in the user's model

    Raises
    ------
    FaultyModel
        No operators give it; it says what the tensor lacks as a whole.
    """
    # An argmax has fewer axes than the network's own result.
    view = view_of(node if function is None else scores_of(node), value)
    shape = tuple(view.index.shape[1:])
    *parts, last = _outputs_of(view, shape, function, make)
    if label is not None:
        order = order_of(last.axes) or Order((prod(last.shape),), (0,))
        last = replace(last, axes=str(replace(order, label=label)))
    return [*parts, last]


def _outputs_of(view, shape, function, make):
    # The host joins parts for nothing, which pieces of one operator would be copies for.
    with make.uncut():
        try:
            one = of_one_operator(view, make)
        except FaultyModel:
            one = None
            parts = _parts(view, function, make)
            if parts is not None:
                return parts
    one = one or of_one_operator(view, make)
    order = layout_of(one, make.batch)
    return [Output(one.sources[0].name, shape, axes_of(one, order, shape, function))]


def _parts(view, function, make):
    """Parts side by side, as the joined heads of a detector; None: there are none."""
    places = view.of_one_image(make.batch)
    for axis in range(places.dim()):
        # What is computed along the axis needs all of it.
        if function is not None and function[1] == axis:
            continue
        owners = view.source_of(places).movedim(axis, 0).flatten(1)
        ends = ends_of(owners, len(view.sources))
        if len(ends) == 2:
            continue
        with suppress(FaultyModel):
            return [
                _part(view, (axis, start, end), function, make, last=end == ends[-1])
                for start, end in pairwise(ends)
            ]
    return None


def _part(view, cut, function, make, last):
    axis, start, end = cut
    # Behind the batch.
    index = view.index.narrow(1 + axis, start, end - start)
    part = replace(view, name=f"{view.name}.{start}", index=index, instead=None).of_used()
    part = of_one_operator(part, make)
    shape = tuple(index.shape[1:])
    order = layout_of(part, make.batch) or Order((prod(shape),), (0,))
    if function is not None:
        order = replace(order, function=function[0], along=function[1])
    return Output(part.sources[0].name, shape, str(order if last else replace(order, join=axis)))


def of_one_operator(view: View, make: Materialise) -> View:
    """The tensor as a view of one operator, which has its axes in whatever order.

    Raises
    ------
    FaultyModel
        There is none; it says what the tensor lacks with its axes as they are.
    """
    # In whatever order values are, those of an image are together, image by image.
    view.of_one_image(make.batch)
    if in_order(view) or layout_of(view, make.batch) is not None:
        return view
    ordered = _ordered(view, make)
    if ordered is not None:
        return ordered
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


def _ordered(view: View, make: Materialise) -> View | None:
    """Channels of the tensors before it in the view's own order; None: that is not all it lacks."""
    source = make.joined(view)
    area = None if source is None else prod(source.shape[1:])
    if area is None or view.index.numel() != make.batch * view.total:
        return None
    places = view.of_one_image(make.batch).flatten()
    # In the order in which the first pixel of each channel comes.
    channels = (places[places % area == 0] // area).unique_consecutive()
    if len(channels) != source.shape[0] or len(channels.unique()) != len(channels):
        return None
    number = torch.empty_like(channels)
    number[channels] = torch.arange(len(channels))
    image, place = view.index // view.total, view.index % view.total
    index = image * view.total + number[place // area] * area + place % area
    found = replace(view, sources=(source,), index=index)
    if layout_of(found, make.batch) is None:
        return None
    return replace(found, sources=(make.gathered(f"{view.name}.gather", source, channels),))


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
