"""Products of a view's last axis with constant matrices, as convolutions wherever it lies.

What each product reads may be the channels of a pixel, as in a linear layer, the pixels of a
channel, as in the mixing of tokens, or all values of a patch.
"""

from dataclasses import dataclass
from math import gcd, prod

import torch
from torch import Tensor

from qnn.frontend.materialise import Materialise
from qnn.frontend.ops.conv import FloatConv, pointwise
from qnn.frontend.views import Held, View, whole
from qnn.ir.window import Window


@dataclass(frozen=True)
class Matrices:
    """Constant matrices, and which of them each row of a view is multiplied with.

    Members
    -------
    weight : (matrices, results, values) float32
    bias : (matrices, results), or None
    rows : for each row the number of its matrix
    """

    weight: Tensor
    bias: Tensor | None
    rows: Tensor


def multiplied(name: str, view: View, matrices: Matrices, make: Materialise) -> Held | None:
    """The products, (rows of ``view``, results); None: no convolution gives them.

    Parameters
    ----------
    name : of the result
    view : (..., values)
    """
    results = matrices.weight.shape[1]
    rows, alone = tuple(view.index.shape[:-1]), len(matrices.weight) == 1
    # Vectors are blocks already, whatever they were before.
    if alone and len(rows) == 1 and rows[0] == make.batch:
        return make.add(_pointwise(name, make(view), matrices))
    found = _in_place(name, view, matrices, make)
    if found is not None:
        return found
    if not alone or not 1 <= len(rows) <= 3:
        return None
    # Else the axis becomes the channels of a sequence or image, if a layout gives that.
    source = make(View(view.name, view.site, view.sources, view.index.movedim(-1, 1)))
    conv = make.add(_pointwise(name, source, matrices))
    index = whole(conv, (rows[0], results, *rows[1:])).index.movedim(1, -1)
    return View(conv.name, view.site, (conv,), index)


def _pointwise(name, source, matrices):
    """One matrix on the channels of each pixel."""
    bias = None if matrices.bias is None else matrices.bias[0]
    return pointwise(name, source, matrices.weight[0], bias)


@dataclass(frozen=True)
class _Along:
    """Along one axis of the image: what a row reads, and where the rows begin.

    Members
    -------
    places : for each value of a row its number in the kernel
    starts : for each row its number among the results
    kernel, dilation, stride, count, first : of the window's axis
    """

    places: Tensor
    starts: Tensor
    kernel: int
    dilation: int
    stride: int
    count: int
    first: int


def _in_place(name, view, matrices, make):
    """The products by a convolution of what the view is of, at the places where that lies."""
    source = make.joined(view)
    if source is None:
        return None
    _, height, width = source.shape
    index = view.index.reshape(-1, view.index.shape[-1])
    image, rest = index // view.total, index % view.total
    parts = rest // (height * width), rest % (height * width) // width, rest % width
    bases = [part.amin(1) for part in parts]
    inner = [part - base[:, None] for part, base in zip(parts, bases, strict=True)]
    # Each row reads the same pattern of one image, from a place of its own on.
    if not bool((image == image[:, :1]).all()) or not all(_alike(each) for each in inner):
        return None
    down, across = (_along(inner[n][0], bases[n]) for n in (1, 2))
    # A product with the pixels of each channel: of tokens, it is one with channels.
    if not make.cuts and not all(bool((each == 0).all()) for each in inner[1:]):
        return None
    groups, group = bases[0].unique(return_inverse=True)
    chosen = _of_groups(group, matrices.rows, len(groups))
    if down is None or across is None or chosen is None:
        return None
    own, place = inner[0][0].unique(return_inverse=True)
    weight = _kernel(matrices.weight[chosen], place, down, across, len(own))
    if weight is None:
        return None
    channels = (groups[:, None] + own).flatten()
    conv = FloatConv(
        name=name,
        inputs=(make.gathered(f"{name}.gather", source, channels).name,),
        shape=(len(weight), down.count, across.count),
        window=_window(down, across, (height, width), len(groups)),
        weight=weight,
        bias=None if matrices.bias is None else matrices.bias[chosen].flatten(),
    )
    # Row by row of the view, where its results lie: those of one row are channels of one pixel.
    area, results = down.count * across.count, matrices.weight.shape[1]
    at = down.starts * across.count + across.starts
    base = image[:, 0] * prod(conv.shape) + group * results * area + at
    index = base[:, None] + torch.arange(results) * area
    shape = (*view.index.shape[:-1], results)
    return View(conv.name, view.site, (make.add(conv),), index.reshape(shape))


def _alike(rows: Tensor) -> bool:
    return bool((rows == rows[:1]).all())


def _along(inner: Tensor, bases: Tensor) -> _Along | None:
    dilation = gcd(*inner.tolist()) or 1
    starts, number = bases.unique(return_inverse=True)
    steps = (starts[1:] - starts[:-1]).unique()
    if len(steps) > 1:
        return None
    return _Along(
        places=inner // dilation,
        starts=number,
        kernel=int(inner.amax()) // dilation + 1,
        dilation=dilation,
        stride=int(steps[0]) if len(steps) else 1,
        count=len(starts),
        first=int(starts[0]),
    )


def _of_groups(group: Tensor, rows: Tensor, count: int) -> Tensor | None:
    """The matrix of each group of channels; None: rows of one group have several."""
    chosen = torch.zeros(count, dtype=torch.int64)
    chosen[group] = rows
    return chosen if torch.equal(chosen[group], rows) else None


def _kernel(weight, place, down, across, channels):
    """The matrices as kernels, (groups * results, channels, height, width); None: with holes."""
    groups, results, values = weight.shape
    sizes = (channels, down.kernel, across.kernel)
    at = (place * down.kernel + down.places) * across.kernel + across.places
    # Holes would be weights that learn.
    if prod(sizes) != values or len(at.unique()) != values:
        return None
    kernels = torch.empty(groups, results, values)
    kernels[:, :, at] = weight
    return kernels.reshape(groups * results, *sizes)


def _window(down, across, size, groups):
    padding = []
    for axis, pixels in zip((down, across), size, strict=True):
        reach = axis.first + (axis.count - 1) * axis.stride
        # What lies beside the first and the last window is cut off.
        padding += [-axis.first, reach + axis.dilation * (axis.kernel - 1) + 1 - pixels]
    return Window(
        kernel=(down.kernel, across.kernel),
        stride=(down.stride, across.stride),
        dilation=(down.dilation, across.dilation),
        padding=tuple(padding),
        groups=groups,
    )
