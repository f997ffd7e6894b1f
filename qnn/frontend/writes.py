"""Writes into a part of a tensor, which torch.export has as calls that give the whole tensor.

They move values, as all views do. Constants that are written to, or that are written, are operators
here, so that each value of the result has its place in one.
"""

from collections.abc import Mapping
from functools import reduce
from math import prod
from typing import Any

import torch
from torch import Tensor, fx

from qnn.frontend.aten.constant_map import block_for, constant_map
from qnn.frontend.faults import Fault, FaultyModel, site_of, target_of
from qnn.frontend.materialise import Materialise
from qnn.frontend.views import View, block_of, computed, view_of

# Places of the tensor that is written to and of what is written, among a call's arguments.
WRITES: Mapping[str, tuple[int, int]] = {
    "aten.slice_scatter": (0, 1),
    "aten.select_scatter": (0, 1),
    "aten.diagonal_scatter": (0, 1),
    "aten.index_put": (0, 2),
}


def written(node: fx.Node, values: Mapping[fx.Node, Any], make: Materialise) -> dict[fx.Node, Any]:
    """``values`` of a call in which the tensors that are written to, and written, are views.

    Raises
    ------
    FaultyModel
        A constant is too large for a map, or differs from image to image; a place is computed.
    """
    views = {n: view_of(n, value) for n, value in values.items()}
    if target_of(node) not in WRITES:
        return views
    target, source = (node.args[place] for place in WRITES[target_of(node)])
    if any(computed(views[n]) for n in node.all_input_nodes if n not in (target, source)):
        problem, do = "needs places that are constants, not computed ones", "write by torch.where"
        raise FaultyModel([Fault(site_of(node), problem, do)])
    batch = _batch_axes(node, views, make.batch)
    for operand, axis in zip((target, source), batch, strict=True):
        if isinstance(operand, fx.Node) and not computed(views[operand]):
            shape = _written_shape(node) if operand is source else tuple(operand.meta["val"].shape)
            views[operand] = _constant(node, operand, views, make, shape, axis)
    return views


def _batch_axes(node, views, batch):
    """Where the images lie in what is written to, and in what is written."""
    target, source = (node.args[place] for place in WRITES[target_of(node)])
    selects = target_of(node) == "aten.select_scatter"
    dim = node.args[2] % node.meta["val"].dim() if selects else node.meta["val"].dim()
    if computed(views.get(target)):
        axis = views[target].batch_axis(batch)
        return axis, axis - (axis > dim)
    axis = views[source].batch_axis(batch)
    return axis + (axis >= dim), axis


def _written_shape(node):
    """The shape of the part that a call writes."""
    target, source = (node.args[place] for place in WRITES[target_of(node)])
    if target_of(node) != "aten.index_put":
        return tuple(source.meta["val"].shape)
    # A slice is none where an index stands.
    with target.meta["val"].fake_mode:
        held = fx.map_arg(node.args[1], lambda n: n.meta["val"])
        return tuple(torch.ops.aten.index.Tensor(target.meta["val"], held).shape)


def masked(x: Tensor, indices: list[Tensor], value: Tensor, accumulate: bool = False) -> Tensor:
    """``value``, a single number, where a computed mask holds, and ``x`` elsewhere."""
    return torch.where(indices[0], value.reshape(()), x)


def is_masked(node: fx.Node, values: Mapping[fx.Node, Any]) -> bool:
    """Whether a call writes one number wherever a mask of computed values holds."""
    if target_of(node) != "aten.index_put" or len(node.args[1]) != 1:
        return False
    ((mask,), value) = node.args[1:3]
    single = not computed(values[value]) and values[value].numel() == 1
    return computed(values[mask]) and single and mask.meta["val"].shape == node.meta["val"].shape


def _constant(node, operand, views, make, shape, axis):
    """A constant as a view of the operator that gives it for every image along ``axis``."""
    images = views[operand].to(torch.float64).expand(shape).movedim(axis, 0)
    narrow = reduce(_narrowed, range(images.dim()), images)
    sizes = tuple(size for size in narrow.shape[1:] if size > 1)
    block = block_of(sizes) if sizes else (1, 1, 1)
    if len(narrow) > 1 or block is None or block_for(torch.Size(block)) is None:
        got, do = f"one of shape {shape}", "write what is computed from the input, or fewer numbers"
        problem = f"needs a small constant that is the same for all images, not {got}"
        raise FaultyModel([Fault(site_of(node), problem, do)])
    # Which source does not matter: nothing of its values is left.
    source = next(view.sources[0] for view in views.values() if computed(view))
    made = constant_map(f"{node.name}.{operand.name}", narrow[0].reshape(block), source, make)
    places = torch.arange(make.batch)[:, None] * prod(block) + torch.arange(prod(block))
    index = places.reshape(make.batch, *narrow.shape[1:]).expand(images.shape)
    return View(made.name, site_of(node), (made,), index.movedim(0, axis))


def _narrowed(value, axis):
    """The value with one place of an axis along which it is the same."""
    first = value.narrow(axis, 0, 1)
    return first if bool((value == first).all()) else value
