"""Windows of float operators: their text, their shape rule, and the border around an image."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from types import MappingProxyType

import torch.nn.functional as F
from torch import Tensor

from qnn.frontend.ops.operator import options
from qnn.ir.shape import Shape
from qnn.ir.window import Padding, Pair, Window

USUAL: Mapping = MappingProxyType(
    {"stride": (1, 1), "padding": (0, 0, 0, 0), "dilation": (1, 1), "groups": 1}
)


def window_text(window: Window) -> list[str]:
    """The kernel, and what of the window differs from the usual."""
    # In the window's own order, so that the text of equal windows is equal.
    values = asdict(window)
    return ["x".join(map(str, values.pop("kernel"))), *options(values, USUAL)]


def windowed(window: Window, channels: int, source: Shape) -> Shape:
    """The shape of ``channels`` results over an image of shape ``source``."""
    return channels, *window.output_size(source[1:])


def sliced(window: Window, start: Pair, stride: Pair, wanted: Pair, size: Pair) -> Window | None:
    """The window over an image of ``size`` that gives a slice of its results alone.

    Where it starts or ends inside the image, its padding is negative, which cuts off.

    Parameters
    ----------
    start, stride, wanted : of the slice: its first result, their distance and their number

    Returns
    -------
    None where it would take nothing but padding, and of results from the right to the left.
    """
    if window.backwards:
        return None
    padding = []
    for axis in (0, 1):
        before = window.padding[2 * axis] - start[axis] * window.stride[axis]
        span = window.dilation[axis] * (window.kernel[axis] - 1) + 1
        reach = (wanted[axis] - 1) * window.stride[axis] * stride[axis] + span
        behind = reach - size[axis] - before
        # A rest that is too short for one more result is left where it is.
        rest = -window.stride[axis] * stride[axis] < behind < 0
        padding += [before, 0 if rest else behind]
        if max(-before, 0) + max(-padding[-1], 0) >= size[axis]:
            return None
    strides = tuple(a * b for a, b in zip(window.stride, stride, strict=True))
    return replace(window, stride=strides, padding=tuple(padding))


def bordered(x: Tensor, padding: Padding, value: float = 0.0) -> Tensor:
    """``x`` (batch, channels, height, width) with a border of ``value`` around each image."""
    top, bottom, left, right = padding
    # PyTorch's own padding is the same on both sides of an axis.
    return F.pad(x, (left, right, top, bottom), value=value)
