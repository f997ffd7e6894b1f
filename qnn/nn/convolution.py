"""A convolution over a ``Window`` in the way that takes a library least time."""

import torch
import torch.nn.functional as F
from torch import Tensor

from qnn.ir.exact import turned
from qnn.ir.window import Window
from qnn.nn.pool_all import pool_all, pools_all
from qnn.nn.selecting import padded


def convolution(x: Tensor, weight: Tensor, bias: Tensor | None, window: Window) -> Tensor:
    """Sums over ``x`` (batch, channels, height, width); exact where all sums are."""
    if pools_all(x, weight, window):
        return pool_all(x, weight, bias)
    if is_diagonal(weight, window):
        return _products(x, weight, bias)
    if _sees_all(x, weight, window):
        return F.linear(x.flatten(1), weight.flatten(1), bias)[:, :, None, None]
    top, bottom, left, right = window.padding
    # Even padding is the convolution's own, which saves a copy of the operand.
    even = (top, left) == (bottom, right) and min(top, left) >= 0
    own = (top, left) if even else (0, 0)
    x = x if any(own) else padded(x, window.padding, 0.0)
    stride = window.forwards().stride
    sums = F.conv2d(x, weight, bias, stride, own, window.dilation, window.groups)
    return turned(sums, window)


def is_diagonal(weight: Tensor, window: Window) -> bool:
    """Whether each sum is one value, of its own channel and place, times a factor."""
    alone = weight.shape[1:] == (1, 1, 1) and window.groups == len(weight)
    moves = window.stride != (1, 1) or any(window.padding)
    return alone and not moves


def _sees_all(x, weight, window):
    """Whether there is one window, over all of an image, as in a linear layer."""
    # A convolution would bring all weights into an order of its own, at each call and for nothing.
    alike = x.shape[2:] == weight.shape[2:] and window.groups == 1
    return alike and not any(window.padding)


def _products(x, weight, bias):
    # A depthwise convolution takes twice as long for many images, and 40 times for a few.
    factor = weight[:, 0]
    return x * factor if bias is None else torch.addcmul(bias[:, None, None], x, factor)
