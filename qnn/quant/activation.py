"""Activations: reals rounded half up to integers of one power-of-two scale, and its choice."""

import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from qnn.quant.histogram import Histogram
from qnn.quant.qtype import QType

# Each further exponent halves the range that is kept; the twelfth keeps 1/2048 of it.
DEPTH = 12  # exponents that the search tries, from the one that clips nothing upwards
# Where steps are fine, clipping what no sample reached is what is left to lose: other images of
# random networks went up to twice as far, so that one bit is enough.
WIDE = 12  # bits, from which on one is for values beyond those seen


def round_half_up(x: Tensor) -> Tensor:
    """floor(x + 1/2), in the dtype of ``x``."""
    # torch.round takes ties to even, which hardware would need the bit above the half for; adding
    # half and dropping bits is what the epilogue does.
    return torch.floor(x + 0.5)


def snap(x: Tensor, type: QType) -> Tensor:
    """The nearest real that ``type`` holds, in the dtype of ``x``: rounded half up, clamped."""
    return round_half_up(x * 2.0**type.exponent).clamp(type.low, type.high) * type.scale


def encode(x: Tensor, type: QType) -> Tensor:
    """Integers (int64) of reals: floor(x * 2**exponent + 1/2) in float64, clamped."""
    # In float64 a product with a power of two is exact, and 29 bits more than float32 has hold the
    # half that is added: no result depends on the order of the arithmetic.
    scaled = round_half_up(x.to(torch.float64) * 2.0**type.exponent)
    return scaled.clamp(type.low, type.high).to(torch.int64)


def bounds(type: QType, low: float | None, high: float | None) -> tuple[int, int]:
    """Integers of ``type`` that clamp at the reals ``low`` and ``high``; None is no bound."""
    least, most = (
        None if bound is None else int(encode(torch.tensor(bound), type)) for bound in (low, high)
    )
    return type.low if least is None else least, type.high if most is None else most


def learn_snap(v: Tensor, low: int, high: int) -> Tensor:
    """Integers of ``v``, in units of one step: rounded half up, clamped, in the dtype of ``v``.

    The gradient passes where ``v`` lies between the bounds and is 0 elsewhere. In bfloat16, whose
    values often lie halfway, ties go to even, because all of them going up would shift the mean.
    """
    # hardtanh rather than clamp, whose gradient is 1 at the bounds themselves.
    return _Round.apply(F.hardtanh(v, low, high))


class _Round(torch.autograd.Function):
    """Rounds in place, and passes the gradient straight through."""

    @staticmethod
    def forward(ctx, v):
        # hardtanh has made this tensor for nobody else, so that no copy of it is needed.
        ctx.mark_dirty(v)
        return v.round_() if v.dtype in (torch.bfloat16, torch.float16) else v.add_(0.5).floor_()

    @staticmethod
    def backward(ctx, gradient):
        return gradient


def decode(q: Tensor, type: QType) -> Tensor:
    """Reals (float64) of integers."""
    return q.to(torch.float64) * type.scale


def headroom(bits: int) -> int:
    """Bits of a format that are for values beyond those seen: 1 of 12 or more, none of fewer."""
    return int(bits >= WIDE)


def choose_type(
    seen: Tensor | Histogram, bits: int, signed: bool | None = None, free_zero: bool = False
) -> QType:
    """The type of ``bits`` bits with the least squared error on what a tensor held.

    Wide types then reach ``2**headroom(bits)`` times as far: other data go beyond what was seen.
    Tries ``DEPTH`` exponents, from the largest that clips nothing upwards; of equal errors the
    smaller exponent wins. A tensor that only held zeros is taken to reach 1.

    Parameters
    ----------
    seen : values, or a histogram of values
    signed : None: signed where a value was negative
    free_zero : whether 0 may lie away from the middle of a signed type, where steps can then be
        finer, as those of values that hardly go below 0
    """
    seen = seen if isinstance(seen, Histogram) else Histogram.of(seen)
    signed = seen.least < 0 if signed is None else signed
    # Of exponent 0, so that its bounds are plain integers; only they are read.
    widest = QType(bits, signed, 0)
    start = _unclipped(seen, widest)
    trials = [QType(bits, signed, start + step) for step in range(DEPTH)]
    best = min(trials, key=lambda type: (squared_error(seen, type), type.exponent))
    # Wide types have steps to spare.
    if free_zero and signed and not headroom(bits):
        best = min([best, *_finer(seen, best)], key=lambda type: squared_error(seen, type))
    return replace(best, exponent=best.exponent - headroom(bits))


def _finer(seen, middle):
    """Types of finer steps than ``middle`` whose range lies where the values are."""
    size = 1 << middle.bits
    # With 0 itself, which values that all have one sign would leave out.
    bottom, top = min(seen.least, 0.0), max(seen.most, 0.0)
    for exponent in range(middle.exponent + 1, middle.exponent + DEPTH):
        scale = 2.0**exponent
        least, most = (math.floor(limit * scale + 0.5) for limit in (bottom, top))
        spare = size - 1 - (most - least)
        # Either all values are in range, with as much room on both sides, or one end is.
        lows = [least - spare // 2] if spare >= 0 else [least, most - size + 1]
        for low in lows:
            zero_point = -low - size // 2
            if -size // 2 < zero_point < size // 2:
                yield replace(middle, exponent=exponent, zero_point=zero_point)


def squared_error(seen: Histogram, type: QType) -> float:
    """Sum of squared errors of ``snap`` over a histogram, values spread evenly in each bin."""
    centres, width = seen.centres, seen.width
    # A value within a bin is off its centre by a uniform error, whose variance is width**2 / 12.
    error = (centres - snap(centres, type)).square() + width * width / 12
    # Steps finer than bins: every level between the clamps has values spread evenly around it,
    # whose error is the step's own variance, scale**2 / 12, wherever the centres happen to fall.
    if type.scale <= width:
        inside = (centres >= type.low * type.scale) & (centres <= type.high * type.scale)
        error = torch.where(inside, type.scale**2 / 12, error)
    return float((error * seen.counts).sum())


def _unclipped(seen, type):
    """The largest exponent at which ``type`` reaches everything seen."""
    top = seen.most if seen.most > 0 else 0.0
    bottom = seen.least if type.signed and seen.least < 0 else 0.0
    if top == bottom == 0.0:
        top = 1.0
    room = [limit / reach for limit, reach in ((type.high, top), (type.low, bottom)) if reach]
    # Rounded down: half a step more would clip the greatest value.
    return math.floor(math.log2(min(room)))
