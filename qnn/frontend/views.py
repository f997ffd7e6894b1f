"""Views: tensors whose values are those of other tensors in another order, which costs nothing.

What reshapes, permutes, splits, slices or repeats runs once on the places of the values, in
PyTorch itself. So whatever PyTorch can do to an order is read here, and a chain of it is one view.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import accumulate
from math import prod
from typing import Any

import torch
from torch import Tensor, fx

from qnn.frontend.faults import Fault, FaultyModel, Site, site_of, target_of
from qnn.frontend.ops.operator import FloatOperator
from qnn.ir.shape import Shape

CONCATS = {"aten.cat", "aten.concat", "aten.concatenate"}
# ATen's operators that move values and compute none.
MOVES = frozenset(
    f"aten.{name}"
    for name in (
        *("view", "reshape", "_unsafe_view", "flatten", "unflatten", "squeeze", "unsqueeze"),
        *("permute", "transpose", "t", "movedim", "moveaxis", "swapaxes", "swapdims", "numpy_T"),
        *("slice", "select", "narrow", "split", "split_with_sizes", "chunk", "unbind"),
        *("tensor_split", "unsafe_split", "unsafe_split_with_sizes", "unsafe_chunk", "hsplit"),
        *("index_select", "index", "_unsafe_index", "take_along_dim", "gather", "flip", "roll"),
        *("fliplr", "flipud", "rot90", "expand", "expand_as", "broadcast_to", "repeat", "tile"),
        *("repeat_interleave", "stack", "hstack", "vstack", "dstack", "channel_shuffle"),
        *("native_channel_shuffle", "view_as", "reshape_as", "mT", "mH", "adjoint", "atleast_1d"),
        *("atleast_2d", "atleast_3d", "ravel", "diagonal", "unfold", "as_strided", "vsplit"),
        *("clone", "contiguous", "alias", "alias_copy", "detach", "detach_copy", "lift_fresh"),
        *("copy", "slice_scatter", "select_scatter", "diagonal_scatter", "index_put"),
    )
)


@dataclass(frozen=True, eq=False)
class View:
    """A tensor that is computed already, value by value, by other operators.

    Members
    -------
    name : of the operator that a reader of the tensor needs, if it needs one
    site : of the call that gives it
    sources : the operators that computed the values
    index : for each value, the batch included, its place among the values of the sources, which
        lie image by image, in each image source by source, in each source channel by channel
    instead : gives the tensor where no layout can; None: nothing does
    """

    name: str
    site: Site
    sources: tuple[FloatOperator, ...]
    index: Tensor
    instead: Callable[[], FloatOperator] | None = None

    @property
    def total(self) -> int:
        """How many values the sources have for one image."""
        return sum(prod(source.shape) for source in self.sources)

    def source_of(self, places: Tensor) -> Tensor:
        """The number of the source that each of ``places`` of one image is of."""
        ends = list(accumulate(prod(source.shape) for source in self.sources))
        return torch.bucketize(places.contiguous(), torch.tensor(ends), right=True)

    def of_used(self) -> "View":
        """The same of those sources alone that it has values of."""
        if len(self.sources) == 1:
            return self
        sizes = torch.tensor([prod(source.shape) for source in self.sources])
        number = self.source_of(self.index % self.total)
        used = torch.bincount(number.flatten(), minlength=len(sizes)).nonzero().flatten()
        if len(used) == len(self.sources):
            return self
        # Each source moves forward by what those before it, which are left out, had.
        kept = torch.zeros_like(sizes)
        kept[used] = sizes[used]
        moved = (sizes - kept).cumsum(0) - (sizes - kept)
        image, place = self.index // self.total, self.index % self.total
        index = image * int(kept.sum()) + place - moved[number]
        sources = tuple(self.sources[n] for n in used.tolist())
        return replace(self, sources=sources, index=index)

    def at(self, index: Tensor) -> "View":
        """Other values of the sources, for which nothing stands instead."""
        return View(self.name, self.site, self.sources, index)

    def batch_axis(self, batch: int) -> int:
        """The axis that the images lie along; 0 where none is."""
        for axis, size in enumerate(self.index.shape):
            first = self.index.narrow(axis, 0, 1)
            ones = [1] * self.index.dim()
            ones[axis] = batch
            each = torch.arange(batch).mul(self.total).reshape(ones)
            if size == batch and bool((self.index - first == each).all()):
                return axis
        return 0

    def of_one_image(self, batch: int) -> Tensor:
        """``index`` of the first image, without the batch.

        Raises
        ------
        FaultyModel
            The first axis is not the batch's, or images are mixed.
        """
        index = self.index
        each = torch.arange(batch).mul(self.total).reshape(-1, *(1,) * (index.dim() - 1))
        if index.dim() < 1 or len(index) != batch or not bool((index - index[:1] == each).all()):
            raise self.refuse(
                "to keep the batch as the first axis",
                f"a tensor of shape {tuple(index.shape)} of {batch} images",
                "move and join the other axes alone",
            )
        return index[0]

    def refuse(self, needs: str, got: str, do: str) -> FaultyModel:
        """The error that nothing gives a reader this tensor."""
        return FaultyModel([Fault(self.site, f"needs {needs}, not {got}", do)])


Held = FloatOperator | View


def computed(value: Any) -> bool:
    """Whether a value of the program depends on the network's input."""
    return isinstance(value, Held)


def is_view(value: Any) -> bool:
    """Whether a value of the program is a view, rather than an operator or a constant."""
    return isinstance(value, View)


def whole(source: FloatOperator, shape: tuple[int, ...]) -> View:
    """All values of ``source`` in their order, as a tensor of ``shape``, (batch, ...)."""
    # Blocks lie as PyTorch's tensors do, so that sequences and vectors differ in their shape alone.
    index = torch.arange(prod(shape)).reshape(shape)
    return View(source.name, Site("", ""), (source,), index)


def view_of(node: fx.Node, value: Any) -> Any:
    """The view that ``value``, what ``node`` gives, is; constants stay as they are."""
    if not computed(value) or is_view(value):
        return value
    first = node.meta["val"]
    return whole(value, tuple((first if isinstance(first, Tensor) else first[0]).shape))


def in_order(view: View) -> bool:
    """Whether a view is all values of one operator in their own order, in whatever shape."""
    return (
        len(view.sources) == 1
        and torch.equal(view.index.flatten(), torch.arange(view.index.numel()))
        and not view.index.numel() % view.total
    )


def known(view: View) -> Held:
    """The operator that gives a view's values in the view's shape, or the view."""
    shape, source = tuple(view.index.shape), view.sources[0]
    # Other shapes of the same order stay views: what reads them may need other axes.
    alike = in_order(view) and shape[:1] == (view.index.numel() // view.total,)
    return source if alike and block_of(shape[1:]) == source.shape else view


def only_moves(node: fx.Node) -> bool:
    """Whether a call moves values and computes none; padding by negative amounts is a crop."""
    if target_of(node) in ("aten.pad", "aten.constant_pad_nd"):
        return max(node.args[1], default=0) <= 0
    return target_of(node) in MOVES


def joins_channels(node: fx.Node) -> bool:
    """Whether a concatenation is one of the channels of images, sequences or vectors."""
    rank = node.meta["val"].dim()
    dim = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0)
    return rank <= 4 and dim % rank == 1


def _copied(target: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:
    """What is written over all of ``target``, of which nothing but its shape is left."""
    return source.expand(target.shape)


# Of the places of values, which lie otherwise than the values, a copy is as good as a view.
_INSTEAD = {
    "aten.view": torch.Tensor.reshape,
    "aten._unsafe_view": torch.Tensor.reshape,
    "aten.copy": _copied,
}


def called(node: fx.Node, name: str, values: Mapping[fx.Node, Any]) -> View | list[View]:
    """What ``node``, which moves values, gives of ``values``, views and constants.

    Parameters
    ----------
    name : of the result, for readers that need an operator
    """
    views = [value for value in values.values() if is_view(value)]
    sources = tuple({s.name: s for view in views for s in view.sources}.values())
    sizes = [prod(source.shape) for source in sources]
    starts = dict(zip((s.name for s in sources), accumulate(sizes, initial=0), strict=False))
    places = {n: _places(value, starts, sum(sizes)) for n, value in values.items()}
    args, kwargs = fx.map_arg((node.args, dict(node.kwargs)), lambda n: places[n])
    found = _INSTEAD.get(target_of(node), node.target)(*args, **kwargs)
    # What was written over, or is not selected, is no source any more.
    if isinstance(found, Tensor):
        return View(name, site_of(node), sources, found).of_used()
    return [View(name, site_of(node), sources, each).of_used() for each in found]


def _places(value, starts, total):
    """The places of a view among the values of all sources; a constant as it is."""
    if not is_view(value):
        return value
    if value.total == total and [*starts] == [source.name for source in value.sources]:
        return value.index
    image, first = value.index // value.total, starts[value.sources[0].name]
    if len(value.sources) == 1:
        return value.index + image * (total - value.total) + first
    # A source that two operands share stands once among all.
    places = [starts[s.name] + torch.arange(prod(s.shape)) for s in value.sources]
    return image * total + torch.cat(places)[value.index % value.total]


def block_of(shape: tuple[int, ...]) -> Shape | None:
    """The block of a user's tensor, without its batch: None if it has no such axes.

    (channels,), (channels, length) and (channels, height, width) keep the order of their axes.
    """
    if len(shape) > 3 or not prod(shape):
        return None
    return *shape, *(1,) * (3 - len(shape))
