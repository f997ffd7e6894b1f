"""Exact integer arithmetic in torch: convolution, pooling and epilogue of integer tensors.

A convolution runs in the fastest arithmetic that is proved exact: float32 while no partial sum
reaches 2**24, float64 while none reaches 2**53, else int64. No algorithm that transforms its input
is allowed, since those round.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from qnn.ir.epilogue import Epilogue
from qnn.ir.reference import fits_32_bits
from qnn.ir.shape import Shape
from qnn.ir.window import Padding, Pair, Window
from qnn.quant.qtype import QType


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """No Winograd (NNPACK), no bfloat16 products, no autocast, no gradients."""
    # NNPACK chooses Winograd by a layer's shape, and oneDNN computes in bfloat16 where a setting
    # of the process allows it: both round, so both are off, whatever the caller has set.
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode())
        stack.enter_context(torch.autocast("cpu", enabled=False))
        stack.enter_context(torch.backends.nnpack.flags(enabled=False))
        precision = getattr(torch.backends.mkldnn, "conv", None)
        if precision is not None:  # a torch that can be told to convolve in bfloat16
            stack.callback(setattr, precision, "fp32_precision", precision.fp32_precision)
            precision.fp32_precision = "ieee"
        yield


def tensor_of(array: np.ndarray) -> Tensor:
    """The tensor that shares an array's memory."""
    return torch.from_numpy(array)


def array_of(tensor: Tensor) -> np.ndarray:
    """The array that shares a tensor's memory."""
    return tensor.numpy()


def weights_of(integers: np.ndarray, reach: int) -> Tensor:
    """Weights in the fastest type whose sums are exact while none exceeds ``reach``."""
    return torch.from_numpy(integers).to(product_type(reach))


def channels_of(values: np.ndarray, reach: int) -> Tensor:
    """A value for each channel, of shape (channels, 1, 1), in a type that holds ``reach``."""
    # It broadcasts over rows and columns of every image.
    return torch.from_numpy(np.asarray(values, np.int64))[:, None, None].to(sum_type(reach))


def stored(values: Tensor, type: QType) -> Tensor:
    """Integers in the type that holds a tensor of the graph."""
    return values.to(tensor_type(type))


def joined(*operands: Tensor) -> Tensor:
    """The channels of all operands, one after the other."""
    return torch.cat(operands, 1)


def interleaved(
    operands: tuple[Tensor, ...], shape: Shape, step: Pair, offsets: tuple[Pair, ...]
) -> Tensor:
    """The operands' pixels in one tensor of ``shape``, each ``step`` apart from its offset on."""
    whole = operands[0].new_empty((len(operands[0]), *shape))
    for operand, (top, left) in zip(operands, offsets, strict=True):
        height, width = operand.shape[2:]
        whole[:, :, top :: step[0], left :: step[1]][:, :, :height, :width] = operand
    return whole


def product_type(reach: int) -> torch.dtype:
    """The fastest type whose sums of products are exact while none exceeds ``reach``."""
    # float32 has 24 bits of mantissa, float64 has 53: integers below are exact.
    if reach < 1 << 24:
        return torch.float32
    return torch.float64 if reach < 1 << 53 else torch.int64


def sum_type(reach: int) -> torch.dtype:
    """The narrowest type that holds sums up to ``reach``."""
    # Sums of nearly all layers fit 32 bits, and the epilogue is bound by memory.
    return torch.int32 if reach < 1 << 31 else torch.int64


def tensor_type(type: QType) -> torch.dtype:
    """The torch type that holds a tensor of the graph: int32 where it fits, else int64."""
    return torch.int32 if fits_32_bits(type) else torch.int64


def convolved(x: Tensor, weights: Tensor, window: Window) -> Tensor:
    """Sums of products, in the arithmetic of ``weights``; padding is zeros."""
    sums = F.conv2d(
        padded(x.to(weights.dtype), window.padding, 0),
        weights,
        stride=window.forwards().stride,
        dilation=window.dilation,
        groups=window.groups,
    )
    return turned(sums, window)


def turned(sums: Tensor, window: Window) -> Tensor:
    """The results of ``window``, of those that come from the left to the right."""
    return sums.flip(3) if window.backwards else sums


def multiplied(one: Tensor, other: Tensor, reach: int) -> Tensor:
    """Products value by value, of which none exceeds ``reach``; one of (channels, 1, 1) spreads."""
    return one.to(sum_type(reach)) * other


def finished(acc: Tensor, epilogue: Epilogue[Tensor], skip: Tensor | None) -> Tensor:
    """The result of the sums ``acc``; the bias of a rounded ``epilogue`` has half included."""
    v = acc.to(epilogue.bias.dtype)
    # In place: a copy of a large map costs more than its shift.
    v <<= epilogue.left
    v += epilogue.bias
    if skip is not None:
        v += skip.to(v.dtype) << epilogue.skip_left
    if epilogue.rounded:
        v >>= epilogue.right
        v.clamp_(epilogue.low, epilogue.high)
    return v if epilogue.table is None else looked_up(v, epilogue)


def looked_up(indices: Tensor, epilogue: Epilogue[Tensor]) -> Tensor:
    """The entries of the channels' tables that clamped ``indices`` say."""
    rows, entries = epilogue.table.shape
    # One table for all channels is found at the same place for each.
    first = torch.arange(rows)[:, None, None] * entries - epilogue.low
    return epilogue.table.ravel()[indices.long() + first]


def greatest(x: Tensor, window: Window, least: int) -> Tensor:
    """The maximum over each window; padding is ``least`` and so never wins."""
    # Each tap of the window is a strided view of the map, and the maximum goes tap by tap, so that
    # integers stay integers and no copy for each tap is made.
    height, width = window.output_size(tuple(x.shape[2:]))
    x = padded(x, window.padding, least)
    best = None
    for row in range(window.kernel[0]):
        for column in range(window.kernel[1]):
            top, left = row * window.dilation[0], column * window.dilation[1]
            tap = x[:, :, top :: window.stride[0], left :: window.stride[1]]
            tap = tap[:, :, :height, :width]
            best = tap if best is None else torch.maximum(best, tap)
    # A pool of one tap would else be a view of its operand, and changes with it.
    return best.clone() if best is tap else best


def padded(x: Tensor, padding: Padding, value: int) -> Tensor:
    """``x`` with ``value`` around each image."""
    top, bottom, left, right = padding
    return F.pad(x, (left, right, top, bottom), value=value) if any(padding) else x
