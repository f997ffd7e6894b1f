"""Each operator of the integer graph in standard ONNX operators.

Between operators, tensors are float32 (images, channels, height, width): activations have 16 bits
at most, which float32 holds exactly, and ``Conv`` and ``MaxPool`` of onnxruntime take it.
"""

from functools import singledispatch

import numpy as np

from qnn.errors import CompileError
from qnn.interchange.epilogue_nodes import finished
from qnn.interchange.number_type import number_type
from qnn.interchange.sum_nodes import onnx_pads, padded, summed
from qnn.interchange.writer import OnnxWriter, Tensor
from qnn.ir.ops import Concat, Conv, Interleave, MaxPool, Multiply, Operator


@singledispatch
def operator_nodes(
    node: Operator, writer: OnnxWriter, operands: list[Tensor], sources: tuple[Operator, ...]
) -> Tensor:
    """The tensor of ``node``, computed from those of its ``sources``.

    Raises
    ------
    CompileError
        The operator is none that ONNX can express.
    """
    raise CompileError(
        f"{node.kind} '{node.name}' needs an operator that ONNX files have, but there is none; "
        f"export a .qgraph"
    )


@operator_nodes.register
def _conv(node: Conv, writer, operands, sources):
    products, reach = _proved(node, sources)
    sums = summed(writer, operands[0], node.integers, node.window, node.shape, products)
    skip = operands[1] if node.skip is not None else None
    return finished(writer, sums, node.epilogue, reach, skip)


@operator_nodes.register
def _multiply(node: Multiply, writer, operands, sources):
    products, reach = _proved(node, sources)
    one, other = (writer.cast(each, number_type(products)) for each in operands)
    return finished(writer, writer.add("Mul", one, other), node.epilogue, reach, None)


def _proved(node, sources):
    """Greatest magnitude of a sum of products, and of the sum with everything added."""
    # Of plain integers, as no storage offset is in the file.
    products, reach = node.sums(sources).plain_bounds()
    if reach >= 1 << 63:
        raise CompileError(
            f"{node.kind} '{node.name}' needs sums of {reach.bit_length() + 1} bits, but ONNX "
            f"has 64; quantize to fewer bits"
        )
    return products, reach


@operator_nodes.register
def _max_pool(node: MaxPool, writer, operands, sources):
    return pooled(node, writer, operands[0], node.type.low)


def pooled(node: MaxPool, writer: OnnxWriter, x: Tensor, least: float) -> Tensor:
    """The maximum over each window of ``x``, of which no value is less than ``least``."""
    window = node.window
    # MaxPool's own padding is narrower than the kernel, and each window has to see the image.
    narrow = all(
        0 <= side < taps
        for side, taps in zip(window.padding, np.repeat(window.kernel, 2), strict=True)
    )
    own = narrow and window.dilation == (1, 1)
    x = x if own else padded(writer, x, window.padding, least)
    return writer.add(
        "MaxPool",
        x,
        label=node.name,
        kernel_shape=window.kernel,
        strides=window.stride,
        dilations=window.dilation,
        pads=onnx_pads(window.padding) if own else (0, 0, 0, 0),
    )


@operator_nodes.register
def _concat(node: Concat, writer, operands, sources):
    # All operands have one exponent, so that integers stay what they are.
    return writer.add("Concat", *operands, label=node.name, axis=1)


@operator_nodes.register
def _interleave(node: Interleave, writer, operands, sources):
    return interleaved(node, writer, operands, sources)


def interleaved(
    node: Interleave, writer: OnnxWriter, operands: list[Tensor], sources: tuple[Operator, ...]
) -> Tensor:
    """All pixels of all operands behind each other, then each pixel of the result by its place."""
    channels, *size = node.shape
    flat = [
        writer.reshape(each, (-1, channels, source.shape[1] * source.shape[2]))
        for each, source in zip(operands, sources, strict=True)
    ]
    pixels = writer.add("Concat", *flat, axis=2)
    taken = writer.add("Gather", pixels, writer.constant(_places(node, sources)), axis=2)
    return writer.reshape(taken, (-1, channels, *size), label=node.name)


def _places(node, sources):
    """For each pixel of the result, its number among the operands' pixels: (pixels,)."""
    whole, first = np.empty(node.shape[1:], np.int64), 0
    for source, (top, left) in zip(sources, node.offsets, strict=True):
        height, width = source.shape[1:]
        numbers = first + np.arange(height * width).reshape(height, width)
        whole[top :: node.step[0], left :: node.step[1]][:height, :width] = numbers
        first += height * width
    return whole.ravel()
