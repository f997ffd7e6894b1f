"""Exact integer arithmetic in NumPy, where torch is not installed: what ``qnn.ir.exact`` gives."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from qnn.ir.epilogue import Epilogue
from qnn.ir.reference import fits_32_bits
from qnn.ir.shape import Shape
from qnn.ir.window import Padding, Pair, Window
from qnn.quant.qtype import QType


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Nothing to switch off: NumPy computes as it is told."""
    yield


def tensor_of(array: np.ndarray) -> np.ndarray:
    """The array itself."""
    return array


def array_of(tensor: np.ndarray) -> np.ndarray:
    """The array itself."""
    return tensor


def weights_of(integers: np.ndarray, reach: int) -> np.ndarray:
    """Weights in a type whose sums of products are exact while none exceeds ``reach``."""
    # BLAS has products of float64; int64 has none of its own, and is slower.
    return integers.astype(np.float64 if reach < 1 << 53 else np.int64)


def channels_of(values: np.ndarray, reach: int) -> np.ndarray:
    """A value for each channel, of shape (channels, 1, 1), in a type that holds ``reach``."""
    wide = np.asarray(values, np.int64)[:, None, None]
    return wide.astype(np.int32 if reach < 1 << 31 else np.int64)


def convolved(x: np.ndarray, weights: np.ndarray, window: Window) -> np.ndarray:
    """Sums of products, in the arithmetic of ``weights``; padding is zeros."""
    height, width = window.output_size(x.shape[2:])
    x = padded(x.astype(weights.dtype), window.padding, 0)
    images, groups, outputs = len(x), window.groups, weights.shape[0]
    grouped = weights.reshape(groups, outputs // groups, *weights.shape[1:])
    total = np.zeros((images, groups, outputs // groups, height * width), weights.dtype)
    # Tap by tap: each is one product of matrices for each group.
    for row, column, tap in taps(x, window.forwards(), height, width):
        tap = tap.reshape(images, groups, -1, height * width)
        total += grouped[..., row, column] @ tap
    total = total.reshape(images, outputs, height, width)
    return total[..., ::-1] if window.backwards else total


def multiplied(one: np.ndarray, other: np.ndarray, reach: int) -> np.ndarray:
    """Products value by value, of which none exceeds ``reach``; one of (channels, 1, 1) spreads."""
    return one.astype(np.int32 if reach < 1 << 31 else np.int64) * other


def finished(acc: np.ndarray, epilogue: Epilogue, skip: np.ndarray | None) -> np.ndarray:
    """The result of the sums ``acc``; the bias of a rounded ``epilogue`` has half included."""
    v = (acc.astype(epilogue.bias.dtype) << epilogue.left) + epilogue.bias
    if skip is not None:
        v += skip.astype(v.dtype) << epilogue.skip_left
    if not epilogue.rounded:
        return v
    v = (v >> epilogue.right).clip(epilogue.low, epilogue.high)
    return v if epilogue.table is None else looked_up(v, epilogue)


def looked_up(indices: np.ndarray, epilogue: Epilogue) -> np.ndarray:
    """The entries of the channels' tables that clamped ``indices`` say."""
    rows, entries = epilogue.table.shape
    first = np.arange(rows)[:, None, None] * entries - epilogue.low
    return epilogue.table.ravel()[indices + first]


def stored(values: np.ndarray, type: QType) -> np.ndarray:
    """Integers in the type that holds a tensor of the graph."""
    return values.astype(np.int32 if fits_32_bits(type) else np.int64)


def joined(*operands: np.ndarray) -> np.ndarray:
    """The channels of all operands, one after the other."""
    return np.concatenate(operands, 1)


def interleaved(
    operands: tuple[np.ndarray, ...], shape: Shape, step: Pair, offsets: tuple[Pair, ...]
) -> np.ndarray:
    """The operands' pixels in one tensor of ``shape``, each ``step`` apart from its offset on."""
    whole = np.empty((len(operands[0]), *shape), operands[0].dtype)
    for operand, (top, left) in zip(operands, offsets, strict=True):
        height, width = operand.shape[2:]
        whole[:, :, top :: step[0], left :: step[1]][:, :, :height, :width] = operand
    return whole


def greatest(x: np.ndarray, window: Window, least: int) -> np.ndarray:
    """The maximum over each window; padding is ``least`` and so never wins."""
    height, width = window.output_size(x.shape[2:])
    x = padded(x, window.padding, least)
    return np.maximum.reduce([tap for _, _, tap in taps(x, window, height, width)])


def taps(x: np.ndarray, window: Window, height: int, width: int):
    """For each tap of the window its row, its column, and what it sees of each image."""
    for row in range(window.kernel[0]):
        for column in range(window.kernel[1]):
            top, left = row * window.dilation[0], column * window.dilation[1]
            tap = x[:, :, top :: window.stride[0], left :: window.stride[1]]
            yield row, column, tap[:, :, :height, :width]


def padded(x: np.ndarray, padding: Padding, value: int) -> np.ndarray:
    """``x`` with ``value`` around each image; where it is negative, rows or columns less."""
    top, bottom, left, right = (max(each, 0) for each in padding)
    sides = ((0, 0), (0, 0), (top, bottom), (left, right))
    above, below, before, behind = (max(-each, 0) for each in padding)
    x = x[:, :, above : x.shape[2] - below, before : x.shape[3] - behind]
    return np.pad(x, sides, constant_values=value) if any(padding) else x
