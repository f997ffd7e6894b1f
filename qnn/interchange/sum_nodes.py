"""A convolution's sums of products in standard operators, exact by proof."""

import numpy as np

from qnn.interchange.number_type import FLOAT, number_type
from qnn.interchange.writer import OnnxWriter, Tensor
from qnn.ir.shape import Shape
from qnn.ir.window import Padding, Window


def summed(
    writer: OnnxWriter, x: Tensor, weights: np.ndarray, window: Window, shape: Shape, reach: int
) -> Tensor:
    """The sums of products of integers, of which no partial sum exceeds ``reach``.

    A float32 convolution is exact in any order of its products while that is below 2**24: then it
    is one ``Conv``. ``ConvInteger`` would be no better, as it takes 8 bits alone. Beyond, where
    onnxruntime has no ``Conv`` of float64, the taps of the window are products of matrices, of
    float64 or int64, that are added up.

    Parameters
    ----------
    weights : (outputs, inputs / groups, kernel height, kernel width) int64
    shape : of the sums
    """
    dtype = number_type(reach)
    if dtype == FLOAT:
        sums = _convolved(writer, x, weights, window)
    else:
        sums = _tap_by_tap(writer, writer.cast(x, dtype), weights, window, shape)
    # What comes from the right to the left is the same row in reverse.
    return writer.sliced(sums, (3,), [(-1, -shape[2] - 1, -1)]) if window.backwards else sums


def padded(writer: OnnxWriter, x: Tensor, padding: Padding, value: float) -> Tensor:
    """``x`` with ``value`` around each image; where it is negative, rows or columns less."""
    if not any(padding):
        return x
    top, bottom, left, right = padding
    pads = writer.constant((0, 0, top, left, 0, 0, bottom, right))
    return writer.add("Pad", x, pads, writer.constant(value, x.dtype))


def onnx_pads(padding: Padding) -> tuple[int, int, int, int]:
    """A window's padding in ONNX's order: top, left, bottom, right."""
    top, bottom, left, right = padding
    return top, left, bottom, right


def _convolved(writer, x, weights, window):
    # Negative padding is none that Conv takes.
    apart = min(window.padding) < 0
    x = padded(writer, x, window.padding, 0) if apart else x
    pads = (0, 0, 0, 0) if apart else onnx_pads(window.padding)
    return writer.add(
        "Conv",
        x,
        writer.constant(weights, FLOAT),
        kernel_shape=window.kernel,
        strides=window.forwards().stride,
        dilations=window.dilation,
        group=window.groups,
        pads=pads,
    )


def _tap_by_tap(writer, x, weights, window, shape):
    outputs, height, width = shape
    groups, inputs = window.groups, weights.shape[1]
    # One matrix for each group, which MatMul spreads over the images.
    by_group = weights.reshape(groups, outputs // groups, *weights.shape[1:])
    x = padded(writer, x, window.padding, 0)
    (down, right), total = window.forwards().stride, None
    for row, column in np.ndindex(*window.kernel):
        top, left = row * window.dilation[0], column * window.dilation[1]
        # To just behind the last pixel that is read, as a slice may not end in steps.
        rows = (top, top + (height - 1) * down + 1, down)
        columns = (left, left + (width - 1) * right + 1, right)
        tap = writer.sliced(x, (2, 3), [rows, columns])
        tap = writer.reshape(tap, (-1, groups, inputs, height * width))
        matrix = writer.constant(by_group[..., row, column], x.dtype)
        part = writer.add("MatMul", matrix, tap)
        total = part if total is None else writer.add("Add", total, part)
    return writer.reshape(total, (-1, *shape))
