"""Outputs of the network: what a tensor is for the host, which lays it out."""

from contextlib import suppress
from dataclasses import replace
from itertools import pairwise, permutations
from math import prod

import torch
from torch import Tensor, fx

from qnn.frontend.faults import FaultyModel
from qnn.frontend.materialise import Materialise
from qnn.frontend.side_by_side import ends_of
from qnn.frontend.views import Held, View, in_order, view_of, whole
from qnn.ir.graph import Output
from qnn.ir.shape import Order


def outputs_of(node: fx.Node, value: Held, axis: int, make: Materialise) -> list[Output]:
    """The outputs of which a tensor of the network's consists: one, or parts along one of its axes.

    Parameters
    ----------
    value : of ``node``
    axis : that its images lie along, which is the first one of the outputs

    Raises
    ------
    FaultyModel
        No operators give it; it says what the tensor lacks as a whole.
    """
    view = view_of(node, value)
    if axis:
        view = replace(view, index=view.index.movedim(axis, 0), instead=None)
    # The host joins parts for nothing, which pieces of one operator would be copies for.
    with make.uncut():
        try:
            one = of_one_operator(view, make)
        except FaultyModel:
            one = None
            parts = _parts(view, make)
            if parts is not None:
                return parts
    one = one or of_one_operator(view, make)
    order = layout_of(one, make.batch)
    axes = None if order is None or in_order(one) else str(order)
    return [Output(one.sources[0].name, tuple(view.index.shape[1:]), axes)]


def _parts(view, make):
    """Parts side by side, as the joined heads of a detector; None: there are none."""
    places = view.of_one_image(make.batch)
    for axis in range(places.dim()):
        owners = view.source_of(places).movedim(axis, 0).flatten(1)
        ends = ends_of(owners, len(view.sources))
        if len(ends) == 2:
            continue
        with suppress(FaultyModel):
            return [
                _part(view, (axis, start, end), make, last=end == ends[-1])
                for start, end in pairwise(ends)
            ]
    return None


def _part(view, cut, make, last):
    axis, start, end = cut
    # Behind the batch.
    index = view.index.narrow(1 + axis, start, end - start)
    part = replace(view, name=f"{view.name}.{start}", index=index, instead=None).of_used()
    part = of_one_operator(part, make)
    shape = tuple(index.shape[1:])
    order = layout_of(part, make.batch) or Order((prod(shape),), (0,))
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
