"""QONNX's quantizers in a float network: what weights they give, and which range they keep.

They are read only where a user asks for a network that is quantized anew, as other integers would
follow from it than those of the file.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from qnn.frontend.onnx.call import OnnxCall, Reader
from qnn.frontend.onnx.quantized import OF_INPUT

NAMES = ("Quant", "IntQuant", "BipolarQuant", "FloatQuant")
ROUNDINGS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "ROUND": torch.round,
    "HALF_EVEN": torch.round,
    "FLOOR": torch.floor,
    "CEIL": torch.ceil,
    "DOWN": torch.trunc,
    "UP": lambda x: torch.sign(x) * torch.ceil(torch.abs(x)),
    "HALF_UP": lambda x: torch.sign(x) * torch.floor(torch.abs(x) + 0.5),
    "HALF_DOWN": lambda x: torch.sign(x) * torch.ceil(torch.abs(x) - 0.5),
}
# What a rounding takes away on average, in steps: a network that does not round takes it away, too.
LOST: Mapping[str, float] = {"FLOOR": 0.5, "CEIL": -0.5}
MOST_BITS = 32


def int_quant(call: OnnxCall) -> Tensor:
    """Quant or IntQuant: of a constant what it gives, else a clamp to its range."""
    low, high = integer_bounds(call)
    scale, zero = call[1], call[2]
    if call.attribute("signed", 1) and call.number(3) == 1:
        # As qonnx has one bit with a sign.
        return (torch.where(call[0] / scale + zero >= 0, 1.0, -1.0) - zero) * scale
    if call.constants[0] or call.exact:
        # As qonnx: the clamp first.
        steps = (call[0] / scale + zero).clamp(low, high)
        return (_rounding(call)(steps) - zero) * scale
    # A user's data are what they are; per channel a clamp is none of any layer.
    if call.attribute(OF_INPUT) or not _is_number(call, 1) or not _is_number(call, 2):
        return call[0]
    step, middle = call.number(1), call.number(2)
    lost = LOST.get(_mode(call), 0.0) * step
    x = call[0] - lost if lost else call[0]
    return torch.clamp(x, (low - middle) * step, (high - middle) * step)


def bipolar_quant(call: OnnxCall) -> Tensor:
    """BipolarQuant: 1 or -1 times the scale."""
    return torch.where(call[0] >= 0, 1.0, -1.0) * call[1]


def float_quant(call: OnnxCall) -> Tensor:
    """FloatQuant of a constant, or a clamp to its range."""
    # Behind the values and the scale.
    exponent, mantissa, bias, most = (call.number(place) for place in (2, 3, 4, 5))
    known = None not in (exponent, mantissa, bias, most)
    call.require(known, "constants for its format", "others", "export it again")
    special = call.attribute("has_inf", 0) or call.attribute("has_nan", 0)
    # Beyond the largest number stands infinity or nothing, unless it saturates.
    call.require(
        bool(call.attribute("saturation", 1)) or not special,
        "saturation=1",
        "0",
        "export it with saturation",
    )
    largest = 2.0 ** (2**exponent - 1 - bias) * (2.0 - 2.0**-mantissa)
    most = min(most, largest) if most else largest
    low = -most if call.attribute("signed", 1) else 0.0
    if not (call.constants[0] or call.exact):
        known = _is_number(call, 1) and not call.attribute(OF_INPUT)
        step = call.number(1) if known else None
        return torch.clamp(call[0], low * step, most * step) if known else call[0]
    x = call[0] / call[1]
    places = torch.floor(torch.log2(x.abs().clamp(min=torch.finfo(torch.float32).tiny)))
    step = torch.exp2(torch.clamp(places - mantissa, min=1.0 - bias - mantissa))
    return (step * _rounding(call)(x / step)).clamp(low, most) * call[1]


def integer_bounds(call: OnnxCall) -> tuple[int, int]:
    """The least and the greatest integer of a quantizer; -1 and 1 of one bit with a sign."""
    bits = call.number(3)
    call.require(
        bits is not None and bits % 1 == 0 and 1 <= bits <= MOST_BITS,
        f"1 to {MOST_BITS} bits",
        f"{bits:g}" if bits is not None else "what the data decide",
        "export it again",
    )
    bits, narrow = int(bits), int(bool(call.attribute("narrow", 0)))
    if not call.attribute("signed", 1):
        return 0, (1 << bits) - 1 - narrow
    if bits == 1:
        return -1, 1
    return -(1 << bits - 1) + narrow, (1 << bits - 1) - 1


def _is_number(call, place):
    return call.is_known(place) and call.tensors[place].numel() == 1


def _mode(call):
    return str(call.attribute("rounding_mode", "ROUND")).upper()


def _rounding(call):
    call.require(
        _mode(call) in ROUNDINGS, f"a rounding of {', '.join(ROUNDINGS)}", _mode(call), "change it"
    )
    return ROUNDINGS[_mode(call)]


OPERATORS: Mapping[str, Reader] = {
    "Quant": int_quant,
    "IntQuant": int_quant,
    "BipolarQuant": bipolar_quant,
    "FloatQuant": float_quant,
}
