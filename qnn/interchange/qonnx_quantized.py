"""Quantizers in a QONNX file: of constants, of inputs, of sums and of what tables give."""

from dataclasses import replace
from typing import Any

import numpy as np

from qnn.interchange.qonnx_constants import (
    ADVICE,
    bipolar_quantized,
    float_quantized,
    int_quantized,
    power_exponents,
)
from qnn.interchange.qonnx_reader import DO, QonnxReader, ReadNode
from qnn.interchange.qonnx_sums import bounded
from qnn.interchange.qonnx_values import (
    GivenInput,
    Line,
    LookedUp,
    RoundedLine,
    Settled,
    refuse,
)
from qnn.interchange.qonnx_windows import (
    one_weight,
)
from qnn.ir.ops import Input
from qnn.ir.shape import to_blocks, usual_axes
from qnn.quant.qtype import QType


def float_quant(reader: QonnxReader, node: ReadNode, operands: list[Any]) -> Any:
    """Weights behind a ``FloatQuant``."""
    if len(operands) != 6 or not all(isinstance(each, np.ndarray) for each in operands):
        refuse(node.place, "constant weights", "values that it rounds to floats", DO)
    rounding = str(node.get("rounding_mode", "ROUND")).upper()
    return float_quantized(node.place, operands, rounding)


def bipolar_quant(reader: QonnxReader, node: ReadNode, operands: list[Any]) -> Any:
    """Weights behind a ``BipolarQuant``."""
    if all(isinstance(each, np.ndarray) for each in operands) and len(operands) == 2:
        return bipolar_quantized(node.place, operands)
    return None


def int_quant(reader: QonnxReader, node: ReadNode, operands: list[Any]) -> Any:
    """An input, weights, an activation or what a table gives, behind an ``IntQuant``."""
    x, *numbers = operands
    if len(numbers) != 3 or not all(isinstance(each, np.ndarray) for each in numbers):
        return None
    rounding = str(node.get("rounding_mode", "ROUND")).upper()
    signed, narrow = bool(node.get("signed", 1)), bool(node.get("narrow", 0))
    if isinstance(x, np.ndarray):
        return int_quantized(node.place, operands, signed, narrow, rounding)
    type, floor = _type(node, numbers, signed), (-np.inf, np.inf)
    if narrow:
        floor = (
            np.ldexp(type.low + signed, -type.exponent),
            np.ldexp(type.high - (not signed), -type.exponent),
        )
    if isinstance(x, GivenInput):
        made = _input(reader, node, x, type, rounding)
        if not narrow:
            reader.quantized[x.name] = node.place.number
            return made
        # The type has one more integer than the file, which weights of 1 cut off.
        return RoundedLine(node.place, bounded(one_weight(node.place, made.node), *floor), type)
    if isinstance(x, LookedUp):
        # What the first quantizer said is the type of the index, then.
        made = x.rounded
        return replace(made, place=node.place, type=type, index=made.type, table=x.table)
    # A tensor that is rounded once more is one that weights of 1 copy.
    if isinstance(x, Settled | RoundedLine):
        x = one_weight(node.place, reader.tensor(x, node.place))
    if not isinstance(x, Line):
        return None
    return RoundedLine(node.place, bounded(x, *floor), type, rounding)


def _type(node, numbers, signed):
    scale, zero, bits = numbers
    if (
        any(np.size(each) != 1 for each in numbers)
        or np.ravel(bits)[0] % 1
        or np.ravel(zero)[0] % 1
    ):
        refuse(node.place, "one scale, zero point and whole width", "several", ADVICE)
    (exponent,) = power_exponents(node.place, scale)
    bits, zero = int(np.ravel(bits)[0]), int(np.ravel(zero)[0])
    try:
        return QType(bits, signed, int(exponent), zero)
    except ValueError as error:
        refuse(node.place, "a type of activations", f"'{error}'", ADVICE)


def _input(reader, node, x, type, rounding):
    # Codes are what users give; half a step before a floor is our rounding of reals.
    if (rounding, x.offset) not in (("FLOOR", 2.0 ** -(type.exponent + 1)), ("ROUND", 0.0)):
        needs = "rounding FLOOR behind half a step, or ROUND"
        refuse(node.place, needs, f"{rounding} behind {x.offset:g}", "correct it")
    axes = reader.axes.get(x.name)
    if axes is None:
        axes = {1: "C", 2: "CL", 3: "CHW"}.get(len(x.shape), "CHW")
    blocks = to_blocks(np.broadcast_to(0, (1, *x.shape)), axes)
    shape = blocks.shape[1:]
    if len(shape) != 3 or any(each.name == x.name for each in reader.inputs):
        refuse(node.place, "an input with one quantizer, of 1 to 3 axes", x.shape, "reshape it")
    made = Input(name=x.name, shape=shape, type=type, axes=axes or usual_axes(shape))
    reader.inputs.append(made)
    return Settled(made)
