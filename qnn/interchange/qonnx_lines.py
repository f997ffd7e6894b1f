"""From a sum of reals and its quantizer to an operator whose epilogue has the same integers."""

import numpy as np

from qnn.interchange.qonnx_constants import ADVICE
from qnn.interchange.qonnx_values import Line, RoundedLine, refuse
from qnn.ir.epilogue import Epilogue
from qnn.ir.ops import Conv, Multiply, Operator
from qnn.quant.qtype import QType

# Of an unrounded result, where the file says nothing: as wide as configurations have it.
RESULT_BITS = 32
MOST_PLACES = 63
TO_EVEN, AWAY = ("ROUND", "HALF_EVEN"), ("HALF_UP",)


def rounded_operator(value: RoundedLine, *, ties: str = "even") -> Operator:
    """The operator of a line behind its quantizer.

    Parameters
    ----------
    ties : of "up" halves may round up where the file rounds them to even, or away from 0

    Raises
    ------
    ModelError
        The quantizer rounds otherwise, or a number of it is between two steps.
    """
    line, lane = value.line, value.type if value.index is None else value.index
    left, bias, skip_left = _integers(line, np.full(len(line.unit), lane.exponent))
    right = line.unit + left - lane.exponent
    low, high = _bounds(line, lane)
    half = 1 << right >> 1
    # What cuts off is our rounding of half a step less.
    cut = value.rounding == "FLOOR"
    if not cut:
        halves = _has_halves(left, bias, right, skip_left)
        _check_rounding(value, bool(right.any()), halves, low, ties)
    epilogue = Epilogue(
        left=left,
        bias=bias - half if cut else bias,
        right=right,
        skip_left=skip_left,
        low=low,
        high=high,
        table=_entries(value, low, high),
    )
    return _operator(line, value.place.name, value.type, epilogue)


def unrounded_operator(line: Line, known: tuple[int, int] | None) -> Operator:
    """The operator of a line that no quantizer rounds; ``known``: bits and exponent of its type."""
    # An epilogue that does not round clamps nothing.
    if np.isfinite(line.bounds).any():
        refuse(line.place, "a quantizer behind a clamp", "an output", "quantize what is clamped")
    steps = [line.unit] if line.skip is None else [line.unit, line.skip[1]]
    exponent = max(int(each.max()) for each in steps)
    # Coarser than the file says it cannot be, as its sums would not be whole.
    bits, given = known or (RESULT_BITS, exponent)
    exponent = max(exponent, given)
    _, bias, skip_left = _integers(line, np.full(len(line.unit), exponent), exponent - line.unit)
    epilogue = Epilogue(
        left=exponent - line.unit,
        bias=bias,
        right=np.zeros_like(bias),
        skip_left=skip_left,
        rounded=False,
    )
    return _operator(line, line.place.name, QType(bits, True, exponent), epilogue)


def _integers(line, result, left=None):
    """Shifts to the left, the bias and the skip's shift, with the fewest places that hold all."""
    if left is None:
        left = np.maximum(result - line.unit, 0)
        if line.skip is not None:
            left = np.maximum(left, line.skip[1] - line.unit)
        # A finer bias asks for more places, channel by channel; doubles have 53 bits of it.
        for _ in range(MOST_PLACES):
            between = np.ldexp(line.bias, line.unit + left) % 1 != 0
            if not between.any():
                break
            left = left + between
    bias = np.ldexp(line.bias, line.unit + left)
    if (bias % 1).any() or (np.abs(bias) >= 1 << 53).any():
        refuse(line.place, "biases in whole steps of a power of two", "finer ones", ADVICE)
    skip_left = None if line.skip is None else line.unit + left - line.skip[1]
    return left.astype(np.int64), bias.astype(np.int64), skip_left


def _bounds(line, lane):
    """The clamp in steps of the type."""
    # Whole steps: a bound between two would be another one behind the quantizer.
    ends = [np.ldexp(end, lane.exponent) for end in line.bounds]
    if any(np.isfinite(end) and end % 1 for end in ends):
        refuse(line.place, "bounds in whole steps of its quantizer", line.bounds, ADVICE)
    low, high = max(ends[0], lane.low), min(ends[1], lane.high)
    if low > high:
        refuse(line.place, "bounds that its quantizer reaches", line.bounds, ADVICE)
    return int(low), int(high)


def _has_halves(left, bias, right, skip_left) -> bool:
    """Whether a sum may lie just between two integers, in any channel."""
    # What is added up comes in steps; a bias that lies between them never lets it meet a half.
    step = (
        np.minimum(left, right)
        if skip_left is None
        else np.minimum(np.minimum(left, skip_left), right)
    )
    half = 1 << right >> 1
    return bool(((right > 0) & ((half - bias) % (1 << step) == 0)).any())


def _check_rounding(value, shifts, halves, low, ties):
    nearest = value.rounding in (*TO_EVEN, *AWAY)
    # Where nothing is shifted out nothing rounds, and of what is not negative all halves go up.
    exact = not shifts or (nearest and not halves) or (value.rounding in AWAY and low >= 0)
    if exact or (ties == "up" and nearest):
        return
    do = (
        "export it with rounding_mode FLOOR and half a step in the bias, or let them round up with "
        "ties='up' (--ties up)"
    )
    refuse(value.place, "halves that round up", f"rounding_mode {value.rounding}", do)


def _entries(value, low, high):
    """The part of the table, in steps of its type, that the clamped index reaches."""
    if value.table is None:
        return None
    entries = np.ldexp(value.table, value.type.exponent)
    if (value.start, entries.shape[1]) != (low, high - low + 1) or (entries % 1).any():
        got = f"{entries.shape[1]} from {value.start} on"
        needs = f"a table of {high - low + 1} entries from {low} on, in whole steps"
        refuse(value.place, needs, got, ADVICE)
    return entries.astype(np.int64)


def _operator(line, name, type, epilogue):
    inputs = tuple(each.name for each in line.operands)
    common = {"name": name, "shape": line.shape, "type": type, "epilogue": epilogue}
    if line.weights is None:
        return Multiply(inputs=inputs, **common)
    if line.skip is not None:
        inputs = (*inputs, line.skip[0].name)
    codes, bits = line.weights.codes, line.weights.weight_bits
    return Conv(inputs=inputs, window=line.window, codes=codes, weight_bits=bits, **common)
