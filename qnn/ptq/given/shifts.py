"""A given quantizer as a shift of the sums: the bias with which halves that go up are the same."""

from dataclasses import dataclass

import torch
from torch import Tensor

from qnn.functions.given import GivenQuantizer
from qnn.ptq.given.sums import LayerSums
from qnn.quant.pow2 import exp2


@dataclass(frozen=True, eq=False)
class Shift:
    """``clamp(floor(sums + bias + 1/2), low, high)`` in steps of the quantizer.

    Members
    -------
    bias : (channels,) float64 reals
    low, high : in steps
    """

    bias: Tensor
    low: int
    high: int


def shift_of(sums: LayerSums, given: GivenQuantizer) -> Shift | None:
    """The shift that has the quantizer's integers for all sums; None: there is none."""
    low, high = given.low, given.high
    rounding = given.rounding
    # Of a range that has no negative numbers, towards zero is down, and of one with no others up.
    if rounding == "ZERO" and (given.least >= 0 or given.most <= 0):
        rounding = "FLOOR" if given.least >= 0 else "CEIL"
    if rounding in ("FLOOR", "CEIL"):
        return Shift(_cut(sums, given.exponent, up=rounding == "CEIL"), low, high)
    if rounding == "UP" or (rounding in ("EVEN", "DPU") and not may_tie(sums, given.exponent)):
        return Shift(up_bias(sums, given.exponent), low, high)
    return None


def both_halves(sums: LayerSums, given: GivenQuantizer) -> tuple[Shift, Shift] | None:
    """Two shifts whose results' sum tells the quantizer's integer; None: there are none.

    Of halves, one goes up and one goes down. Towards zero, one has what is positive, cut off, and
    one what is negative.
    """
    up = up_bias(sums, given.exponent)
    if given.rounding in ("EVEN", "DPU"):
        # A step less takes each half, and nothing else, down. Channels whose biases lie between
        # two steps have no halves: what looks like one is a little more.
        step = exp2(-_finer(sums, given))
        down = torch.where(_ties(sums, given.exponent), up - step, up)
        return Shift(up, given.low, given.high), Shift(down, given.low, given.high)
    if given.rounding == "ZERO" and given.zero_point == 0:
        floor, ceil = (_cut(sums, given.exponent, up=each) for each in (False, True))
        return Shift(floor, 0, given.high), Shift(ceil, given.low, 0)
    return None


def may_tie(sums: LayerSums, exponent: int) -> bool:
    """Whether a sum with its bias may lie just between two steps of 2**-exponent."""
    return bool(_ties(sums, exponent).any())


def _finer(sums, given):
    """The exponent of the finer steps: of the sums, or of the results."""
    return sums.unit.clamp(min=given.exponent)


def _ties(sums, exponent):
    """The channels that have such sums."""
    shifted = sums.unit > exponent
    # With a bias between two steps of the sums no result is a half; where sums are whole steps,
    # the bias alone decides.
    whole = sums.bias * exp2(sums.unit) % 1 == 0
    half = (sums.bias * 2.0**exponent) % 1 == 0.5
    return torch.where(shifted, whole, half)


def up_bias(sums: LayerSums, exponent: int) -> Tensor:
    """The bias in steps of the sums, or of the result, that changes no result: halves go up."""
    # What lies between two steps decides nothing: sums reach a bound when whole steps do.
    fine = torch.floor(sums.bias * exp2(sums.unit)) * exp2(-sums.unit)
    coarse = torch.floor(sums.bias * 2.0**exponent + 0.5) * 2.0**-exponent
    return torch.where(sums.unit > exponent, fine, coarse)


def _cut(sums, exponent, up):
    """The bias with which rounding halves up cuts off, downwards or upwards."""
    shifted, step, half = sums.unit > exponent, exp2(-sums.unit), 2.0 ** -(exponent + 1)
    cut = torch.ceil if up else torch.floor
    # Upwards, all but the least step of the sums is added before what is cut off.
    fine = cut(sums.bias * exp2(sums.unit)) * step + (half - step if up else -half)
    return torch.where(shifted, fine, cut(sums.bias * 2.0**exponent) * 2.0**-exponent)
