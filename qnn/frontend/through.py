"""Operators on views that a block before the view can compute as well, so that nothing moves.

What works value by value may work before values are moved.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import torch
from torch import Tensor, fx

from qnn.frontend.aten.elementwise import OPERATORS as ELEMENTWISE
from qnn.frontend.aten.identity import OPERATORS as IDENTITIES
from qnn.frontend.faults import target_of
from qnn.frontend.materialise import Materialise
from qnn.frontend.ops.operator import FloatOperator
from qnn.frontend.views import Held, View, block_of, computed, is_view, known, view_of, whole
from qnn.ir.shape import Shape


@dataclass(frozen=True)
class Passage:
    """A call that is computed on other blocks than its own operands.

    Members
    -------
    values : operands and constants of the call, by their nodes
    rank : how many axes the operands have there, the batch's too
    shape : of the result there
    back : gives the result of the call from the one there
    """

    values: Mapping[fx.Node, Any]
    rank: int
    shape: Shape
    back: Callable[[FloatOperator], Held]


def passage(node: fx.Node, values: Mapping[fx.Node, Any], make: Materialise) -> Passage | None:
    """How ``node`` is computed before the views that it reads; None: it is not."""
    target = target_of(node)
    if target in IDENTITIES:
        return _unchanged(node, values)
    if target in ELEMENTWISE:
        return _value_by_value(node, values, make)
    return None


def _unchanged(node, values):
    """What gives its operand, whatever view that is of whatever tensors."""
    operand = node.args[0]
    view = values[operand]
    if not is_view(view):
        return None
    source, *others = view.sources
    if others and any(each.as_function is not None for each in view.sources):
        return None  # masks become numbers, each by a function of its own

    def back(result):
        return view if result is source else replace(view, sources=(result,))

    return Passage({**values, operand: source}, 4, source.shape, back)


def _value_by_value(node, values, make):
    operands = {n: values[n] for n in node.all_input_nodes if computed(values[n])}
    views = [value for value in operands.values() if is_view(value)]
    if not views:
        return None
    (first, *_) = views
    values = {n: v if computed(v) else _as_broadcast(node, n, v) for n, v in values.items()}
    # A constant with more axes, or longer ones, makes a tensor of another shape.
    same = tuple(_first(node.meta["val"]).shape) == tuple(first.index.shape)
    if same and all(_alike(first, value) for value in operands.values()):
        (source,) = first.sources
        laid = {n: values[n].sources[0] for n in operands}
        laid |= {n: _laid(c, first, source) for n, c in values.items() if n not in operands}
        return _passage(node, laid, first)
    found = _over_whole(node, values, make) or _unspread(node, operands, make)
    return found or _joined_axes(node, operands, make)


def _as_broadcast(node, name, constant):
    """A constant with axes that PyTorch broadcasts by; the slopes of PReLU are its second axis."""
    slopes = target_of(node) == "aten.prelu" and name is node.args[1]
    return constant[:, *(None,) * (node.meta["val"].dim() - 2)] if slopes else constant


def _over_whole(node, values, make):
    """All operands laid as the one is laid that has as many values as the result."""
    shape = tuple(_first(node.meta["val"]).shape)
    held = {n: view_of(n, v) for n, v in values.items() if computed(v)}
    # What is spread over the result's places is no choice: its own are fewer.
    wide = [v for v in held.values() if tuple(v.index.shape) == shape]
    # A block of its own is made only where no tensor has the values already.
    first = next((v for v in wide if _is_whole(v)), None)
    if first is None:
        first = next((f for v in wide if (f := _closed(v, make)) is not None), None)
    if first is None:
        return None
    (source,) = first.sources
    laid = {n: _placed(v, first, make) for n, v in held.items()}
    laid |= {n: _laid(c, first, source) for n, c in values.items() if n not in held}
    return _passage(node, laid, first)


def _passage(node, laid, first):
    """The call on the block of ``first``; None where PReLU would have a slope for each place."""
    (source,) = first.sources
    if target_of(node) == "aten.prelu" and laid[node.args[1]].numel() not in (1, source.shape[0]):
        return None
    return Passage(laid, 4, source.shape, _back(first))


def _placed(view, first, make):
    """The block of ``view``, spread over ``first``, whose values lie as those of ``first`` do."""
    (source,) = first.sources
    if view is first:
        return source
    index = torch.empty(first.index.numel(), dtype=torch.int64)
    # As PyTorch broadcasts, and then moved as the values of ``first`` are.
    index[first.index.flatten()] = view.index.expand(first.index.shape).flatten()
    moved = view.at(index.reshape(-1, *source.shape))
    # One value of each row that is alike, which the operator spreads itself.
    found = known(_narrow(moved))
    return make(found) if is_view(found) else found


def _closed(view, make):
    """The view as one of an operator that has its values and no others; None: a block has more."""
    source = make.joined(view)
    if source is None:
        return None
    places = view.of_one_image(make.batch)
    values = places.flatten().sort()[0]
    _, height, width = source.shape
    axes = (values // (height * width), values // width % height, values % width)
    block = tuple(len(axis.unique()) for axis in axes)
    # Some of the channels, rows and columns, and of these every value once.
    if prod(block) != len(values) or len(values.unique()) != len(values):
        return None
    images = torch.arange(make.batch)[:, None]
    index = (images * view.total + values).reshape(make.batch, *block)
    found = make(view.at(index))
    # The block has them in the order of their places.
    order = images * len(values) + torch.searchsorted(values, places.flatten().contiguous())
    return View(found.name, view.site, (found,), order.reshape(view.index.shape))


def _is_whole(view):
    """Whether a view has each value of one tensor once."""
    index, count = view.index, view.index.numel()
    if len(view.sources) > 1 or count % view.total or not bool((index < count).all()):
        return False
    # Of as many places as there are values, each is there once or another is not there.
    found = torch.zeros(count, dtype=torch.bool)
    found[index.flatten()] = True
    return bool(found.all())


def _unspread(node, operands, make):
    """Several operands of which some were spread by hand, as the operator would do itself."""
    shape = tuple(node.meta["val"].shape) if isinstance(node.meta["val"], Tensor) else ()
    # What is computed as it is already may be the one tensor of a function.
    narrow = {
        n: view_of(n, value) if make.has(value) else _narrow(view_of(n, value))
        for n, value in operands.items()
    }
    changed = [n for n, view in narrow.items() if view.index.shape != n.meta["val"].shape]
    if not changed or len(operands) < 2 or not 1 < len(shape) <= 4:
        return None
    # One of them at least has to have the shape of the result.
    if torch.broadcast_shapes(*(view.index.shape for view in narrow.values())) != shape:
        return None
    laid = {n: make(known(v)) if is_view(known(v)) else known(v) for n, v in narrow.items()}
    return Passage(laid, len(shape), block_of(shape[1:]), lambda result: result)


def _narrow(view):
    """The view with one place of each axis along which all its values are the same."""
    index = view.index
    for axis in range(1, index.dim()):
        first = index.narrow(axis, 0, 1)
        index = first if bool((index == first).all()) else index
    return view.at(index)


def _alike(view, value):
    """Whether both are all values of one tensor, in one order."""
    if not is_view(value) or len(view.sources) > 1 or len(value.sources) > 1:
        return False
    alike = value.sources[0].shape == view.sources[0].shape
    return alike and torch.equal(value.index, view.index) and _is_whole(view)


def _laid(constant, view, source):
    """A constant that is broadcast over ``view``, as one over its source."""
    # A single number is the same wherever values lie.
    if not isinstance(constant, Tensor) or constant.numel() == 1:
        return constant
    batch = view.index.numel() // view.total
    every = constant.expand(view.index.shape).flatten()
    found = torch.empty_like(every)
    found[view.index.flatten()] = every
    images = found.reshape(batch, *source.shape)
    found = images[:1]
    if not bool((images == found).all()):
        got, do = "one that differs from image to image", "give it as an input of the network"
        raise view.refuse("a constant that is the same for all images", got, do)
    # One number for each channel is what layers can take in.
    alike = bool((found == found[:, :, :1, :1]).all())
    return found[0, :, :1, :1] if alike else found


def _back(view):
    return lambda result: View(result.name, view.site, (result,), view.index)


def _joined_axes(node, operands, make):
    """Images of more than three axes, the first of which are joined to channels."""
    shape = tuple(_first(node.meta["val"]).shape)
    alike = all(tuple(n.meta["val"].shape) == shape for n in operands)
    if len(shape) < 5 or not alike:
        return None
    joined = (shape[0], -1, *shape[-2:])
    held = {n: view_of(n, value) for n, value in operands.items()}
    laid = {
        n: make(View(v.name, v.site, v.sources, v.index.reshape(joined))) for n, v in held.items()
    }
    block = (prod(shape[1:-2]), *shape[-2:])
    return Passage(laid, 4, block, lambda result: whole(result, shape))


def over_last_axis(
    view: View, outputs: int, make: Materialise
) -> tuple[FloatOperator, Callable[[FloatOperator], View]]:
    """A block whose channels are the last axis of ``view``, and what lies where behind it.

    Parameters
    ----------
    outputs : how many values each place before the last axis is to have instead

    Returns
    -------
    The block, and what gives the view of a result with so many channels at each of its pixels.
    """
    found = _on_source(view, make)
    if found is not None:
        source, image, pixel = found
        area = prod(source.shape[1:])

        def back(result):
            channels = torch.arange(outputs) * area
            index = (image * outputs * area + pixel)[..., None] + channels
            return View(result.name, view.site, (result,), index)

        return source, back
    # Else the axis becomes the channels of a sequence, if a layout gives that.
    tokens = View(view.name, view.site, view.sources, view.index.movedim(-1, 1))
    images, *places = view.index.shape[:-1]

    def turned(result):
        index = whole(result, (images, outputs, *places)).index.movedim(1, -1)
        return View(result.name, view.site, (result,), index)

    return make(tokens), turned


def _on_source(view, make):
    """A block whose channels are the last axis, and the image and pixel of each place before it."""
    source = make.joined(view)
    if source is None:
        return None
    area, total = prod(source.shape[1:]), view.total
    image, rest = view.index // total, view.index % total
    channel, pixel = rest // area, rest % area
    # The same channels at each place, and one place for all channels.
    channels = channel.reshape(-1, channel.shape[-1])
    fixed = bool((channels == channels[:1]).all() and (pixel == pixel[..., :1]).all())
    if not fixed or not bool((image == image[..., :1]).all()):
        return None
    image, pixel = image[..., 0], pixel[..., 0]
    # Each pixel once: else some would be computed that nobody reads, or more than once.
    count = view.index.numel() // view.index.shape[-1]
    every = (image * area + pixel).flatten().sort()[0]
    if not torch.equal(every, torch.arange(count)) or count % area:
        return None
    return make.gathered(view.name, source, channels[0]), image, pixel


def _first(value):
    return value[0] if isinstance(value, tuple | list) else value
