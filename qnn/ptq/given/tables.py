"""A given quantizer, and all that lies between the sums and it, as a table of the sums themselves.

Its index is the sum, of which no bit is lost: where all sums between the first change of the result
and the last one have room in an index, the results are those of the network whatever its functions,
factors and roundings are.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from qnn.functions.elementwise import IDENTITY, Elementwise, applied_to
from qnn.functions.given import GivenQuantizer
from qnn.functions.table import INDEX_BITS
from qnn.ptq.given.sums import LayerSums
from qnn.quant.qtype import QType

MOST_SUMS = 1 << 20  # of a channel that are tried one by one
PIECE = 1 << 22  # numbers that are tried together


@dataclass(frozen=True, eq=False)
class SumTable:
    """``function`` of sums with ``bias``, and the type of the index.

    Members
    -------
    bias : (channels,) float64 reals, whole steps of the index
    """

    function: Elementwise
    bias: Tensor
    index: QType


def table_of(
    sums: LayerSums, before: Elementwise, given: GivenQuantizer, *, biased: bool = True
) -> SumTable | None:
    """The table whose index is every sum that matters; None: there are too many.

    Parameters
    ----------
    before : what is applied to the sums before the quantizer
    biased : whether the layer can add a bias before it looks up
    """
    unit = int(sums.unit.max())
    shift = torch.exp2((unit - sums.unit).double())
    least, most = sums.least * shift, sums.most * shift
    if float((most - least).max()) >= MOST_SUMS:
        least, most = _narrowed(sums, before, given, unit, least, most)
    if float((most - least).max()) >= MOST_SUMS:
        return None
    result = given.function.of(before)
    first, last = _changes(result, sums, unit, least, most)
    middle = torch.floor((first + last + 1) / 2) if biased else torch.zeros_like(first)
    reach = torch.maximum(middle - first, last + 1 - middle).max()
    bits = max(2, int(reach - 1).bit_length() + 1)
    if bits > INDEX_BITS:
        return None
    # What was taken off the sum comes back first, as the network would have it.
    middle = middle * 2.0**-unit
    sum_ = _line(torch.ones_like(middle), middle)
    function = result.of(_line(sums.gain, sums.bias).of(sum_))
    return SumTable(function, -middle, QType(bits, True, unit))


def _narrowed(sums, before, given, unit, least, most):
    """The range without sums at which the result is at its bounds already."""
    if before != IDENTITY:
        return least, most
    # Of a sign, the change is at 0; else a step more on each side, whatever the rounding.
    low, high = (0, 0) if given.rounding == "SIGN" else (given.low - 2, given.high + 2)
    around = 2 * 2.0**-unit
    ends = [
        (low * given.scale - sums.bias) / sums.gain - around,
        (high * given.scale - sums.bias) / sums.gain + around,
    ]
    low, high = (torch.floor(end * 2.0**unit) for end in ends)
    # A negative factor turns the range around.
    low, high = torch.minimum(low, high - 4), torch.maximum(low + 4, high)
    inner = torch.maximum(least, low.nan_to_num(0.0)), torch.minimum(most, high.nan_to_num(0.0))
    # Beyond, all are alike; a channel without any change has one sum left.
    return inner[0].minimum(most), inner[1].maximum(least).maximum(inner[0].minimum(most))


def _changes(result, sums, unit, least, most):
    """The first and the last sum of each channel between which its result changes."""
    first, last = torch.zeros_like(least), torch.zeros_like(least)
    alike: dict[tuple[float, ...], tuple[float, float]] = {}
    for channel in range(len(least)):
        numbers = (sums.gain, sums.bias, least, most)
        key = tuple(float(each[channel]) for each in numbers)
        if key not in alike:
            alike[key] = _change(result, unit, *key)
        first[channel], last[channel] = alike[key]
    return first, last


def _change(result, unit, gain, bias, least, most):
    values = []
    for start in range(int(least), int(most) + 1, PIECE):
        v = torch.arange(start, min(start + PIECE, int(most) + 1), dtype=torch.float64)
        values.append(result(gain * (v * 2.0**-unit) + bias))
    places = torch.cat(values).diff().nonzero().flatten()
    if not len(places):
        return least, least
    return least + float(places[0]), least + float(places[-1]) + 1


def _line(gain: Tensor, shift: Tensor) -> Elementwise:
    """``x * gain + shift`` of each channel."""
    found = IDENTITY
    whole = torch.round(1 / gain)
    # A mean is a quotient, which has halves where a product with a rounded share has none.
    if bool((gain != 1).any()) and bool((1 / whole == gain).all()):
        found = applied_to("div.Tensor", [found, _constant(whole)])
    elif bool((gain != 1).any()):
        found = applied_to("mul.Tensor", [found, _constant(gain)])
    if bool(shift.any()):
        found = applied_to("add.Tensor", [found, _constant(shift), 1])
    return found


def _constant(values):
    alike = bool((values == values[0]).all())
    return float(values[0]) if alike else tuple(values.tolist())
