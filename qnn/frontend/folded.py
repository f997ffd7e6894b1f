"""Calls on images whose batch holds one more axis, such as frames: a call for each place of it.

Users fold frames or crops into the batch, so that one layer takes all of them, and unfold them
behind it. The layer is computed for each frame by itself; its weights are stored once.
"""

import operator
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from qnn.frontend.expand import read_as
from qnn.frontend.faults import FaultyModel
from qnn.frontend.views import View, computed, is_view

MOST_PARTS = 64  # calls in place of one


@dataclass(frozen=True)
class _Fold:
    """An axis that lies within each image, or that holds all images at each of its places."""

    count: int
    within: bool

    def shape(self, batch: int, rest: tuple[int, ...]) -> list[int]:
        first = (batch, self.count) if self.within else (self.count, batch)
        return [*first, *rest]

    @property
    def axis(self) -> int:
        return 1 if self.within else 0


def read_in_parts(
    node: fx.Node,
    values: dict[fx.Node, Any],
    read: Callable[[fx.Node], Any],
    batch: int,
    error: FaultyModel,
) -> Any:
    """What a call gives of each place of the axis that the batch of all operands holds.

    Parameters
    ----------
    values : what was computed at each node, to which those of the parts are added
    read : gives what a call computes, of the ``values`` before it
    batch : how many images there are
    error : why the call cannot be read as it is

    Raises
    ------
    FaultyModel
        ``error``: there is no such axis, or its parts cannot be read either.
    """
    steps = _steps_of_parts(node, values, batch)
    if steps is not None:
        with suppress(FaultyModel):
            return read_as(steps, node, values, read)
    raise error from None


def _steps_of_parts(node, values, batch):
    """A call for each place; None: there is no such axis, or images are none by themselves."""
    folds = {n: _fold_of(values[n], batch) for n in node.all_input_nodes if computed(values[n])}
    (fold, *others) = dict.fromkeys(folds.values())
    if fold is None or others or not _is_of_each_image(node, batch * fold.count):
        return None
    several = not isinstance(node.meta["val"], Tensor)
    steps = fx.Graph()
    given = {n: steps.placeholder(n.name) for n in node.all_input_nodes}
    for original, placed in given.items():
        placed.meta["val"] = original.meta["val"]
    apart = {n: _parts(steps, given[n], fold, batch) for n in folds}
    made = []
    for number in range(fold.count):
        part = {**given, **{n: parts[number] for n, parts in apart.items()}}
        args, kwargs = fx.map_arg((node.args, dict(node.kwargs)), part.__getitem__)
        result = _called(steps, node.target, args, kwargs)
        made.append(_called(steps, operator.getitem, (result, 0)) if several else result)
    stacked = _called(steps, torch.ops.aten.stack.default, (made, fold.axis))
    shape = list(_first(node).shape)
    joined = _called(steps, torch.ops.aten.reshape.default, (stacked, shape))
    steps.output([joined] if several else joined)
    return fx.GraphModule(torch.nn.Module(), steps)


def _fold_of(value: Any, batch: int) -> _Fold | None:
    if not is_view(value) or value.index.dim() < 2 or len(value.index) % batch:
        return None
    count = len(value.index) // batch
    if not 1 < count <= MOST_PARTS:
        return None
    folds = (_Fold(count, within) for within in (True, False))
    return next((fold for fold in folds if _holds(value, fold, batch)), None)


def _holds(view: View, fold: _Fold, batch: int) -> bool:
    """Whether the images of a view lie along the axis that ``fold`` leaves to them."""
    index = view.index.reshape(fold.shape(batch, (-1,))).movedim(1 - fold.axis, 0)
    each = torch.arange(batch).reshape(-1, 1, 1) * view.total
    return bool((index - index[:1] == each).all())


def _is_of_each_image(node: fx.Node, images: int) -> bool:
    """Whether a call gives one result for each of ``images``, and names no axis that is theirs."""
    found = _first(node)
    # Others of several results are statistics, or where a maximum was.
    used = {user.args[1] for user in node.users if user.target is operator.getitem}
    if not isinstance(found, Tensor) or tuple(found.shape[:1]) != (images,) or used - {0}:
        return False
    rank = found.dim()
    for argument, given in zip(node.target._schema.arguments, node.args, strict=False):
        axes = given if isinstance(given, list | tuple) else [given]
        if "dim" in argument.name and any(axis in (0, -rank) for axis in axes):
            return False
    return True


def _first(node: fx.Node) -> Tensor | None:
    """What a call gives, of several results the first."""
    found = node.meta["val"]
    return found if isinstance(found, Tensor) or not found else found[0]


def _parts(steps: fx.Graph, operand: fx.Node, fold: _Fold, batch: int) -> list[fx.Node]:
    shape = fold.shape(batch, tuple(operand.meta["val"].shape[1:]))
    apart = _called(steps, torch.ops.aten.reshape.default, (operand, shape))
    select = torch.ops.aten.select.int
    return [_called(steps, select, (apart, fold.axis, n)) for n in range(fold.count)]


def _called(
    steps: fx.Graph, target: Callable[..., Any], args: tuple, kwargs: dict | None = None
) -> fx.Node:
    """A call in ``steps``, with what it gives for tensors without values."""
    node = steps.call_function(target, args, kwargs or {})
    shapes = fx.map_arg((args, kwargs or {}), lambda n: n.meta["val"])
    node.meta["val"] = target(*shapes[0], **shapes[1])
    return node
