"""Nodes of a QONNX file that sum: convolutions, linear layers, biases, residuals, products."""

from dataclasses import replace
from typing import Any

import numpy as np

from qnn.interchange.qonnx_constants import (
    added_terms,
    power_exponents,
)
from qnn.interchange.qonnx_reader import DO, QonnxReader, ReadNode
from qnn.interchange.qonnx_values import (
    CodedWeights,
    GivenInput,
    LaidOut,
    Line,
    Padded,
    RoundedLine,
    Settled,
    Shifted,
    TableIndex,
    by_channel,
    refuse,
)
from qnn.interchange.qonnx_windows import (
    of_whole_map,
    one_weight,
    pads_of,
    window_of,
)


def conv(reader: QonnxReader, node: ReadNode, operands: list[Any]) -> Any:
    """A convolution that nothing has rounded yet."""
    x, weights, *bias = operands
    if not isinstance(weights, CodedWeights) or not all(isinstance(b, np.ndarray) for b in bias):
        return None
    padding = pads_of(node.place, node.attributes)
    # Both are rows and columns of zeros.
    if isinstance(x, Padded) and x.value == 0:
        padding, operand = tuple(a + b for a, b in zip(padding, x.padding, strict=True)), x.node
    else:
        operand = reader.tensor(x, node.place)
    window = window_of(node, weights.codes.shape[3:], padding, int(node.get("group", 1)))
    return _line(node.place, operand, weights, window, bias)


def _line(place, operand, weights, window, bias):
    channels = weights.codes.shape[1]
    shape = (channels, *window.output_size(operand.shape[1:]))
    unit = weights.exponents + operand.type.exponent
    line = Line(place, (operand,), shape, unit, np.zeros(channels), window, weights)
    return _biased(line, bias[0]) if bias else line


def gemm(reader: QonnxReader, node: ReadNode, operands: list[Any]) -> Any:
    """A linear layer that nothing has rounded yet."""
    x, weights, *bias = operands
    # Values in another order would meet the weights of others.
    if isinstance(x, LaidOut) and x.moved:
        return None
    usual = node.get("alpha", 1.0) == node.get("beta", 1.0) == 1.0 and not node.get("transA", 0)
    if not isinstance(weights, CodedWeights) or weights.codes.ndim != 3 or not usual:
        return None
    operand = reader.tensor(x.value if isinstance(x, LaidOut) else x, node.place)
    if not node.get("transB", 0):
        # A scale for each output is one for each row only where there is one in all.
        (exponent,) = {*weights.exponents.tolist()}
        codes = weights.codes.swapaxes(1, 2)
        exponents = np.full(codes.shape[1], exponent)
        weights = replace(weights, codes=codes, exponents=exponents)
    weights, window = of_whole_map(node.place, operand, weights)
    return _line(node.place, operand, weights, window, bias)


def add(reader: QonnxReader, node: ReadNode, operands: list[Any]) -> Any:
    """Terms of weights, half a step, a bias, an offset in a table, or a residual sum."""
    one, other = operands
    if isinstance(one, CodedWeights) and isinstance(other, CodedWeights):
        return added_terms(node.place, one, other)
    if isinstance(one, np.ndarray):
        one, other = other, one
    if isinstance(other, np.ndarray):
        return _add_constant(node, one, other)
    # What is no sum yet is the operand that the epilogue adds.
    if not isinstance(one, Line):
        one, other = other, one
    if not isinstance(one, Line):
        one = one_weight(node.place, reader.tensor(one, node.place))
    if (
        one.skip is not None
        or one.weights is None
        or not isinstance(other, Settled | RoundedLine | Shifted)
    ):
        return None
    # Powers of two before a residual sum are a matter of its shift.
    places = np.zeros(1, np.int64)
    if isinstance(other, Shifted):
        places, other = other.places, other.value
    _check_open(node.place, one)
    skip = reader.tensor(other, node.place)
    exponents = np.broadcast_to(skip.type.exponent - places, one.unit.shape)
    return replace(one, place=node.place, skip=(skip, exponents))


def _add_constant(node, x, values):
    if isinstance(x, GivenInput) and values.size == 1:
        return replace(x, offset=x.offset + float(values.ravel()[0]))
    if isinstance(x, TableIndex):
        first = by_channel(node.place, values, x.rounded.line.shape)
        return replace(x, first=x.first + first.astype(np.int64))
    if isinstance(x, Line):
        _check_open(node.place, x)
        return replace(_biased(x, by_channel(node.place, values, x.shape)), place=node.place)
    return None


def _check_open(place, line):
    # An epilogue clamps last.
    if np.isfinite(line.bounds).any():
        refuse(place, "a quantizer between a clamp and a sum", "none", "quantize what is clamped")


def _biased(line, values):
    flat = np.asarray(values, np.float64).ravel()
    if len(flat) not in (1, line.shape[0]):
        refuse(line.place, f"one bias, or {line.shape[0]}", len(flat), DO)
    return replace(line, bias=line.bias + flat)


def mul(reader: QonnxReader, node: ReadNode, operands: list[Any]) -> Any:
    """A product of two tensors, or of one and powers of two."""
    one, other = operands
    if isinstance(one, np.ndarray):
        one, other = other, one
    if isinstance(other, np.ndarray):
        if not isinstance(one, Settled | RoundedLine | Line):
            return None
        factors = by_channel(node.place, other, _spread_over(one, other))
        places = -power_exponents(node.place, factors, "factors")
        if not isinstance(one, Line):
            return Shifted(one, places)
        return None if one.skip is not None else _multiplied(node.place, one, places)
    # What has fewer values is spread over the first one, which the graph's check sees to.
    factors = tuple(reader.tensor(each, node.place) for each in (one, other))
    unit = np.full(factors[0].shape[0], sum(each.type.exponent for each in factors))
    return Line(node.place, factors, factors[0].shape, unit, np.zeros(len(unit)))


def _spread_over(value, factors):
    """The shape that a value has for factors: of one channel, a tensor is spread over several."""
    if isinstance(value, Line):
        return value.shape
    channels, *space = value.node.shape if isinstance(value, Settled) else value.line.shape
    return (channels if channels > 1 else np.size(factors), *space)


def _multiplied(place, line, places):
    """``line`` times ``2**places``, and so its bounds."""
    ends = [np.ldexp(end, places) for end in line.bounds]
    if any((each != each[0]).any() for each in ends):
        refuse(place, "a quantizer between a clamp and factors of channels", "none", DO)
    return replace(
        line,
        place=place,
        unit=line.unit - places,
        bias=np.ldexp(line.bias, places),
        bounds=(ends[0][0], ends[1][0]),
    )


def relu(reader: QonnxReader, node: ReadNode, operands: list[Any]) -> Any:
    """A sum that is no less than 0."""
    return clip(reader, node, [*operands, np.zeros(1)])


def clip(reader: QonnxReader, node: ReadNode, operands: list[Any]) -> Any:
    """A sum within bounds."""
    x, *ends = operands
    if isinstance(x, Settled | RoundedLine):
        x = one_weight(node.place, reader.tensor(x, node.place))
    if not isinstance(x, Line) or not all(isinstance(each, np.ndarray | None) for each in ends):
        return None
    # Older files have attributes; an end that is left out is none.
    usual = (node.get("min", -np.inf), node.get("max", np.inf))
    given = [*ends, None, None][:2]
    low, high = (
        end if each is None else float(each.ravel()[0])
        for each, end in zip(given, usual, strict=True)
    )
    return replace(bounded(x, low, high), place=node.place)


def bounded(line: Line, low: float, high: float) -> Line:
    """``line`` within bounds, and those that it had."""
    least, most = line.bounds
    return replace(line, bounds=(max(least, low), min(most, high)))


def slice_(reader: QonnxReader, node: ReadNode, operands: list[Any]) -> Any:
    """A convolution whose rows come from the right to the left."""
    x, *given = operands
    if not isinstance(x, Line) or len(given) != 4 or x.window is None:
        return None
    starts, stops, axes, steps = (np.ravel(each).tolist() for each in given)
    if (axes, starts, steps) != ([3], [-1], [-1]) or stops[0] >= -x.shape[2]:
        return None
    # A row in reverse, which nothing but a convolution's results can be here.
    down, right = x.window.stride
    return replace(x, place=node.place, window=replace(x.window, stride=(down, -right)))
