"""The index of a table: the steps in which a function's variable is told apart."""

import math

import torch
from torch import Tensor

from qnn.functions.elementwise import Elementwise
from qnn.functions.table import entries
from qnn.quant.activation import DEPTH, choose_type, encode, headroom
from qnn.quant.histogram import Histogram
from qnn.quant.qtype import QType

# Of each bin: an index of 12 bits has steps that are as small as a bin, and would else be judged
# by where the middles of bins happen to lie.
POINTS = 4
# Of what was seen, the share that is taken to lie beyond it: of networks with random weights, some
# ten of 100,000 values of four other images did, by up to a factor of two.
BEYOND = 1e-4


def choose_index(
    function: Elementwise, sums: Histogram, bits: int, result: QType, relative: bool = False
) -> QType:
    """The signed type of ``bits`` bits that loses least of the function's results.

    It is judged by the squared error of the results, not of the index: where the function is flat,
    to clip costs nothing. With constants for each channel, of which a histogram of all channels
    tells nothing, the index's own error counts. An index of many bits is judged by values beyond
    those seen too, so that no others are clipped where the function is not flat.

    Parameters
    ----------
    sums : what the function was applied to
    result : the type of what it gives
    relative : whether errors count by their share of a result: of what tensors are divided by,
        all are as important, as the tensors are as great as the divisors
    """
    if function.channels is not None:
        return choose_type(sums, bits, signed=True)
    x, counts = _points(sums)
    room = headroom(bits)
    if room:
        x, counts = _with_beyond(sums, x, counts)
    wanted = function(x[None, None, None])[0, 0, 0]
    if room:
        # Beyond what was seen it may be infinite, and what the result's type cannot hold no index
        # can mend.
        wanted = wanted.clamp(result.low * result.scale, result.high * result.scale)
    # Of sums that are all 0 any exponent is right, but one that makes no other layer's too fine.
    start = bits - 1 - math.ceil(math.log2(max(-sums.least, sums.most) or 1.0))
    if relative:
        counts = counts / wanted.square().clamp(min=result.scale**2)
    trials = [QType(bits, True, start + step) for step in range(-room, DEPTH)]
    return min(trials, key=lambda index: _error(function, index, result, x, wanted, counts))


def table_error(function: Elementwise, index: QType, sums: Histogram, result: QType) -> float:
    """The squared error of a table's results, summed over all values that were seen."""
    x, counts = _points(sums)
    wanted = function(x[None, None, None])[0, 0, 0]
    return _error(function, index, result, x, wanted, counts)


def _points(sums: Histogram) -> tuple[Tensor, Tensor]:
    """Values as the histogram has them, and how often: a few in each bin, and zero."""
    used = sums.counts.nonzero().flatten()
    offsets = (torch.arange(POINTS, dtype=torch.float64) + 0.5) / POINTS - 0.5
    x = sums.centres[used][:, None] + offsets * sums.width
    # Outside of what was seen a function may have no value, as the root of a negative number.
    x = x.clamp(sums.least, sums.most)
    counts = (sums.counts[used].double() / POINTS)[:, None].expand(x.shape)
    zero = torch.zeros(1, dtype=torch.float64)
    zeros = torch.full((1,), float(sums.zeros), dtype=torch.float64)
    if not sums.zeros:
        return x.flatten(), counts.flatten()
    return torch.cat([x.flatten(), zero]), torch.cat([counts.flatten(), zeros])


def _with_beyond(sums, x, counts):
    """Values twice as far as those seen as well, in ``BEYOND`` of all."""
    limits = torch.tensor([2 * sums.least, 2 * sums.most], dtype=torch.float64)
    share = torch.full((2,), BEYOND / 2 * float(counts.sum()), dtype=torch.float64)
    return torch.cat([x, limits]), torch.cat([counts, share])


def _error(function, index, result, x, wanted, counts) -> float:
    table = entries(function, index, result)[0].double() * result.scale
    got = table[encode(x, index) - index.low]
    return float(((got - wanted).square() * counts).nan_to_num().sum())
