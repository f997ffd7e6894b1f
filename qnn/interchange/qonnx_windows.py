"""Windows, whole maps and interleaved pixels of a QONNX file."""

from dataclasses import replace
from typing import Any

import numpy as np

from qnn.interchange.qonnx_reader import DO
from qnn.interchange.qonnx_values import CodedWeights, Line, MadeAt, PixelList, refuse
from qnn.ir.ops import Interleave, Operator
from qnn.ir.window import Padding, Window


def pads_of(place: MadeAt, attributes: dict[str, Any]) -> Padding:
    """The padding that attributes of a node say, ours: top, bottom, left, right."""
    # ONNX has all beginnings first.
    top, left, bottom, right = attributes.get("pads") or (0, 0, 0, 0)
    if attributes.get("auto_pad", "NOTSET") != "NOTSET" or attributes.get("ceil_mode", 0):
        refuse(place, "pads that are written out", "auto_pad or ceil_mode", DO)
    return top, bottom, left, right


def window_of(node: Any, kernel: tuple[int, ...], padding: Padding, groups: int) -> Window:
    """The window of a node with that kernel."""
    stride, dilation = node.get("strides", (1, 1)), node.get("dilations", (1, 1))
    if {len(kernel), len(stride), len(dilation)} != {2} or min(*kernel, *stride, *dilation) < 1:
        refuse(node.place, "a window of two axes", f"kernel {tuple(kernel)}", DO)
    return Window(
        kernel=tuple(kernel),
        stride=tuple(stride),
        padding=padding,
        dilation=tuple(dilation),
        groups=groups,
    )


def of_whole_map(
    place: MadeAt, operand: Operator, weights: CodedWeights
) -> tuple[CodedWeights, Window]:
    """Weights (terms, outputs, values) of a linear layer, as a convolution over the whole map."""
    terms, outputs, values = weights.codes.shape
    if values != np.prod(operand.shape):
        refuse(place, f"{np.prod(operand.shape)} inputs", values, DO)
    codes = weights.codes.reshape(terms, outputs, *operand.shape)
    return replace(weights, codes=codes), Window(kernel=operand.shape[1:])


def one_weight(place: MadeAt, operand: Operator) -> Line:
    """A tensor as a sum of its own, of weight 1: what nothing else computes."""
    channels = operand.shape[0]
    codes = np.ones((1, channels, 1, 1, 1), np.int8)
    weights = CodedWeights(codes, 2, np.zeros(channels, np.int64))
    unit, bias = np.full(channels, operand.type.exponent), np.zeros(channels)
    window = Window(kernel=(1, 1), groups=channels)
    return Line(place, (operand,), operand.shape, unit, bias, window, weights)


def interleave_of(place: MadeAt, pixels: PixelList, shape: tuple[int, ...]) -> Interleave:
    """The operator that puts each pixel where ``places`` take it from."""
    nodes, (*_, height, width) = pixels.nodes, shape
    sizes = [node.shape[1] * node.shape[2] for node in nodes]
    places = pixels.places
    if len(shape) != 4 or sorted(places.tolist()) != list(range(sum(sizes))):
        refuse(place, "each pixel of its operands once", f"{len(places)} places", DO)
    if height * width != len(places):
        refuse(place, f"{len(places)} pixels", f"{height}x{width}", DO)
    # Where each of the operands' pixels comes to lie, row and column.
    at = np.stack(np.divmod(np.argsort(places), width), 1)
    # Operands lie behind each other, row by row.
    starts = np.cumsum([0, *sizes[:-1]])
    maps = [
        at[start : start + size].reshape(*node.shape[1:], 2)
        for start, size, node in zip(starts, sizes, nodes, strict=True)
    ]
    step = tuple(_step(maps, axis) for axis in range(2))
    for each in maps:
        grid = np.stack(np.indices(each.shape[:2]), -1) * step + each[0, 0]
        if not np.array_equal(each, grid):
            refuse(place, "pixels at one distance", "others", DO)
    return Interleave(
        name=place.name,
        inputs=tuple(node.name for node in nodes),
        shape=(nodes[0].shape[0], height, width),
        type=nodes[0].type,
        step=step,
        offsets=tuple((int(each[0, 0, 0]), int(each[0, 0, 1])) for each in maps),
    )


def _step(maps, axis):
    """PixelList from one of an operand to the next along an axis; 1 if there is no next one."""
    for each in maps:
        if each.shape[axis] > 1:
            return int(np.take(each, 1, axis)[0, axis] - np.take(each, 0, axis)[0, axis])
    return 1
