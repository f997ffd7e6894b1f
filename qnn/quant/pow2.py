"""Weights that are sums of signed powers of two: their grid, indices, values and rounding.

A code of ``bits`` bits is a signed index m from -K to K, K = 2**(bits - 1) - 1: m = 0 is zero,
else the integer ±2**(abs(m) - 1). A weight of k terms is the integer sum over its codes, term 0
first, each times 2**(r (k - 1 - t)), and with one exponent e for each output channel the real
``integer * 2**(e - (K - 1) - r (k - 1))``: the greatest value of the first term is 2**e.

Where ``terms`` may be a number for each output channel, a channel's codes beyond its own are zero.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from hw.spec.isa import codes as weight_codes
from qnn.quant.by_terms import Terms, by_terms
from qnn.quant.shortest_sums import shortest_sums

TERMS = range(1, 8)
# Weights that are looked at together: in float64, 512 KiB, so that the temporary tensors of one
# step are still in a core's cache at the next.
PIECE = 1 << 16
_WORDS = {torch.float32: (torch.int32, 23), torch.float64: (torch.int64, 52)}  # mantissa bits


def most_index(bits: int) -> int:
    """K, the largest index of a code of ``bits`` bits.

    Raises
    ------
    ValueError
        No format has that many bits.
    """
    if bits not in weight_codes.BITS:
        raise ValueError(f"weight_bits must be {weight_codes.BITS_RANGE}, not {bits}")
    return weight_codes.most_index(bits)


def exp2(exponent: Tensor) -> Tensor:
    """2**exponent in float64, exact for integer exponents from -1022 to 1023."""
    # By the bits of a double: torch.exp2 promises no exact result.
    return ((exponent.to(torch.int64) + 1023) << 52).view(torch.float64)


def fraction_bits(bits: int, terms: int = 1) -> int:
    """Binary places of a weight below 2**e: its integer is in units of 2**(e - these)."""
    # The one place of this package that knows r: the weight of terms elsewhere follows from it.
    return most_index(bits) - 1 + weight_codes.term_shift(bits) * (terms - 1)


def integers(indices: Tensor, bits: int) -> Tensor:
    """What the array multiplies by: sign(m) * 2**(abs(m) - 1), summed over terms as they weigh.

    ``indices`` is (terms, ...); the result is (...) int64.
    """
    result = torch.empty(indices.shape[1:], dtype=torch.int64, device=indices.device)
    # Piece by piece: of a hundred million weights all terms in 64 bits are gigabytes.
    for rows in pieces(result) if result.dim() else [...]:
        wide = indices[:, rows].to(torch.int64)
        result[rows] = _summed(wide.sign() * weight_codes.magnitude(wide.abs()), bits)
    return result


def reach_of(indices: Tensor, bits: int) -> Tensor:
    """What bounds all sums on the way through each output channel: (outputs,) float64.

    It is the sum of the magnitudes of all codes, as their terms weigh: terms are added one by one,
    and of 3 = 4 - 1 the partial sums reach 4 - and, where products differ in sign, 5.

    Parameters
    ----------
    indices : (terms, outputs, ...)
    """
    outputs = indices.transpose(0, 1)
    sums = torch.zeros(len(outputs), dtype=torch.float64, device=indices.device)
    for rows in pieces(outputs):
        # Terms, whose integers have 15 bits at most, are summed before they are shifted.
        magnitudes = weight_codes.magnitude(outputs[rows].to(torch.int32).abs())
        terms = magnitudes.reshape(*magnitudes.shape[:2], -1).sum(2).T.to(torch.int64)
        sums[rows] = _summed(terms, bits).double()
    return sums


def values(indices: Tensor, exponent: Tensor, bits: int) -> Tensor:
    """The real weights that signed indices stand for.

    Parameters
    ----------
    indices : (terms, outputs, ...) signed indices
    exponent : (outputs,) integers

    Returns
    -------
    (outputs, ...) float64, exact
    """
    whole = integers(indices, bits).to(torch.float64)
    return whole.mul_(_per_channel(exp2(exponent - fraction_bits(bits, len(indices))), whole))


@lru_cache
def grid(bits: int, terms: int = 1) -> tuple[Tensor, Tensor]:
    """Every weight from zero upwards, in units of the least step: sums of integers ±2**(m - 1).

    Returns
    -------
    sums : (count,) int64, ascending
    codes : (count, terms) int8; of the ways to write a sum, one with the fewest indices not zero,
        of these one that ends with zeros, and then of small magnitudes, which bound what is summed
        on the way

    Raises
    ------
    ValueError
        No format has that many bits or terms.
    """
    most = most_index(bits)
    if terms not in TERMS:
        raise ValueError(f"terms must be from 1 to 7, not {terms}")
    magnitudes = [weight_codes.magnitude(m) for m in range(1, most + 1)]
    sums, codes = shortest_sums(magnitudes, terms, weight_codes.term_shift(bits))
    return torch.from_numpy(sums), torch.from_numpy(codes)


@by_terms
def nearest(w: Tensor, exponent: Tensor, bits: int, terms: Terms = 1) -> Tensor:
    """Signed indices of the grid's nearest value to each weight; a tie goes away from zero.

    Parameters
    ----------
    w : (outputs, ...) float
    exponent : (outputs,) integers

    Returns
    -------
    (terms, outputs, ...) int8
    """
    codes = _codes_by_halves(bits, terms, w.device)
    result = torch.empty((terms, *w.shape), dtype=torch.int8, device=w.device)
    for rows in pieces(w):
        magnitude, _ = in_steps(w[rows].to(torch.float64), exponent[rows], bits, terms)
        place = _halves(magnitude, len(codes[0]))
        sign = torch.where(w[rows] < 0, -1, 1).to(torch.int8)
        # Terms come first: each is a convolution's codes of their own to the array.
        for term, table in enumerate(codes):
            torch.mul(table[place], sign, out=result[term, rows])
    return result


@by_terms
def neighbours(w: Tensor, exponent: Tensor, bits: int, terms: Terms = 1) -> tuple[Tensor, Tensor]:
    """The greatest value of the grid that is not over each weight, and the least not under it.

    Both are the weight itself where it lies on the grid, and the last level where it is beyond.

    Parameters
    ----------
    w : (outputs, ...) float
    exponent : (outputs,) integers

    Returns
    -------
    down, up : (outputs, ...) float64, exact; ``nearest`` gives their indices
    """
    sums = grid(bits, terms)[0].to(w.device, torch.float64)
    levels = torch.cat((-sums[1:].flip(0), sums))
    step = _per_channel(exp2(exponent - fraction_bits(bits, terms)), w)
    scaled = w.detach().to(torch.float64) / step
    # The two searches differ only where a weight lies on a level: there both give that level.
    down = torch.bucketize(scaled, levels, right=True) - 1
    up = torch.bucketize(scaled, levels)
    last = len(levels) - 1
    return levels[down.clamp(min=0)] * step, levels[up.clamp(max=last)] * step


@by_terms
def snap(w: Tensor, exponent: Tensor, bits: int, terms: Terms = 1) -> Tensor:
    """Values of the codes that ``nearest`` gives, in the dtype of ``w``; NaN stays NaN.

    It is for every forward pass of training: float32 stays float32, which is enough, because
    scales are powers of two and midpoints have few bits, and nothing is searched.

    Parameters
    ----------
    w : (outputs, ...) float
    exponent : (outputs,) integers

    Returns
    -------
    (outputs, ...) without a gradient
    """
    magnitude, step = in_steps(w, exponent, bits, terms)
    if terms == 1:
        value = power(magnitude, bits, 1.5)
    else:
        value = nearest_sum(magnitude, bits, terms)
        value = torch.where(magnitude.isnan(), magnitude, value)
    return (value * step).to(w.dtype).copysign(w.detach())


def in_steps(w: Tensor, exponent: Tensor, bits: int, terms: int = 1) -> tuple[Tensor, Tensor]:
    """Magnitudes in units of the grid's least step, and that step, exact and without a gradient.

    Returns
    -------
    magnitude : of the shape of ``w``, float32 or float64: what ``w`` is and the step needs
    step : (outputs, 1, ...) of the same dtype
    """
    exponent = exponent - fraction_bits(bits, terms)
    # A divisor that is a power of two leaves the mantissa alone, unless the result is denormal.
    narrow = w.dtype != torch.float64 and int(exponent.min()) >= -126  # normal numbers
    dtype = torch.float32 if narrow else torch.float64
    step = _per_channel(exp2(exponent), w).to(dtype)
    return w.detach().to(dtype).abs() / step, step


def nearest_sum(magnitude: Tensor, bits: int, terms: int) -> Tensor:
    """The grid's nearest value to each magnitude, both in its least steps, for all but NaN."""
    table = _by_halves(bits, terms, magnitude.dtype, magnitude.device)
    return table[_halves(magnitude, len(table))]


def power(magnitude: Tensor, bits: int, midpoint: float) -> Tensor:
    """The one-term value for magnitudes, both in steps: rounded up from ``midpoint`` * 2**k.

    Parameters
    ----------
    magnitude : float32 or float64, from zero upwards; under one half is 0, and NaN stays NaN
    midpoint : from 1 to 2; with 1.5, the result is the nearest value
    """
    whole, mantissa_bits = _WORDS[magnitude.dtype]
    carry = math.ceil((2 - midpoint) * 2**mantissa_bits)  # carries over into the exponent
    # In the bits of a float, adding to the mantissa carries into the exponent: one integer addition
    # rounds to a power of two, without a logarithm and without an error at the midpoints.
    value = (magnitude.view(whole) + carry).bitwise_and_(-1 << mantissa_bits)
    value = value.view(magnitude.dtype).clamp_(1, weight_codes.magnitude(most_index(bits)))
    return torch.where(magnitude >= 0.5, value, magnitude * 0)


@by_terms
def reach(w: Tensor, exponent: Tensor, bits: int, terms: Terms = 1) -> Tensor:
    """The grid's greatest value, (outputs, 1, ...) in the dtype of ``w``: 2**e for one term."""
    most = int(grid(bits, terms)[0][-1])
    return _per_channel(exp2(exponent - fraction_bits(bits, terms)) * most, w).to(w.dtype)


def pieces(w: Tensor) -> list[slice]:
    """Slices of the output channels, each of about ``PIECE`` weights: what a cache holds."""
    count = max(1, PIECE // max(1, w[:1].numel()))
    return [slice(start, start + count) for start in range(0, len(w), count)]


def _summed(terms, bits):
    """The sum of the integers of all terms, (terms, ...), each shifted over the next ones."""
    total = terms[0]
    for term in terms[1:]:
        total = (total << weight_codes.term_shift(bits)) + term
    return total


def _per_channel(scale, like):
    return scale.reshape(-1, *[1] * (like.dim() - 1))


def _halves(magnitude, count):
    """The place of each magnitude in a table of multiples of one half, whose last stands for more.

    All sums of the grid are integers and so all midpoints multiples of one half: a table of what is
    nearest to each multiple, and so to all up to the next one, is exact.
    """
    return torch.fmin(magnitude * 2, magnitude.new_tensor(count - 1)).to(torch.int32)


@lru_cache
def _places_by_halves(bits, terms):
    sums = grid(bits, terms)[0].to(torch.float64)
    halves = torch.arange(2 * int(sums[-1]) + 1, dtype=torch.float64) / 2
    return torch.bucketize(halves, (sums[1:] + sums[:-1]) / 2, right=True)


@lru_cache
def _by_halves(bits, terms, dtype, device):
    """The nearest sum to each multiple of one half, in 16 MiB at most: 5 bits in seven terms."""
    return grid(bits, terms)[0][_places_by_halves(bits, terms)].to(device, dtype)


@lru_cache
def _codes_by_halves(bits, terms, device):
    """The codes of that sum, (terms, multiples)."""
    return grid(bits, terms)[1][_places_by_halves(bits, terms)].T.contiguous().to(device)
