"""Weights that are sums of signed powers of two: their grid, indices, values and scales.

A code of ``bits`` bits is a signed index m from -K to K, K = 2**(bits - 1) - 1: m = 0 is zero,
else the value ±2**(abs(m) - K) * 2**e, with one integer exponent e for each output channel. A
weight is the sum of ``terms`` such codes.
"""

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from hw.spec.isa import codes as weight_codes

TERMS = range(1, 8)
# Weights that are looked at together: the temporary float64 tensors of a larger piece leave the
# caches. Measured with VGG-16: 2**14 to 2**17 differ by little, 2**20 takes twice the time.
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


def integers(indices: Tensor) -> Tensor:
    """What the array multiplies by: sign(m) * 2**(abs(m) - 1), summed over terms.

    ``indices`` is (terms, ...); the result is (...) int64.
    """
    wide = indices.to(torch.int64)
    return (wide.sign() * weight_codes.magnitude(wide.abs())).sum(0)


def reach_of(indices: Tensor) -> Tensor:
    """Sums of the magnitudes of all terms of each output channel: (outputs,) float64.

    ``indices`` is (terms, outputs, ...).
    """
    outputs = indices.transpose(0, 1)
    sums = torch.zeros(len(outputs), dtype=torch.float64, device=indices.device)
    for rows in pieces(outputs):
        magnitudes = weight_codes.magnitude(outputs[rows].to(torch.int32).abs())
        sums[rows] = magnitudes.flatten(1).sum(1).double()
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
    whole = integers(indices).to(torch.float64)
    return whole * _per_channel(exp2(exponent - (most_index(bits) - 1)), whole)


@lru_cache
def grid(bits: int, terms: int = 1) -> tuple[Tensor, Tensor]:
    """Every weight from zero upwards, for e = K - 1: sums of integers ±2**(m - 1).

    Returns
    -------
    sums : (count,) int64, ascending
    codes : (count, terms) int8; of the ways to write a sum, one with the fewest indices not zero

    Raises
    ------
    ValueError
        No format has that many bits or terms.
    """
    most = most_index(bits)
    if terms not in TERMS:
        raise ValueError(f"terms must be from 1 to 7, not {terms}")
    reach = terms * weight_codes.magnitude(most)
    codes = np.zeros((2 * reach + 1, terms), np.int8)
    known = np.zeros(2 * reach + 1, bool)
    known[reach] = True
    # The greatest first, so that of two ways of equal length the same one is always found.
    steps = [(m, weight_codes.magnitude(m)) for m in range(most, 0, -1)]
    for term in range(terms):
        shorter = np.flatnonzero(known)
        for index, step in steps + [(-m, -s) for m, s in steps]:
            # Term by term, as in a breadth-first search: a sum is first met with the fewest codes
            # not zero.
            start = shorter[(shorter + step >= 0) & (shorter + step <= 2 * reach)]
            start = start[~known[start + step]]
            codes[start + step] = codes[start]
            codes[start + step, term] = index
            known[start + step] = True
    sums = np.flatnonzero(known[reach:])
    return torch.from_numpy(sums), torch.from_numpy(codes[reach + sums])


def nearest(w: Tensor, exponent: Tensor, bits: int, terms: int = 1) -> Tensor:
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
        magnitude, _ = in_steps(w[rows].to(torch.float64), exponent[rows], bits)
        place = _halves(magnitude, len(codes[0]))
        sign = torch.where(w[rows] < 0, -1, 1).to(torch.int8)
        # Terms come first: each is a convolution's codes of their own to the array.
        for term, table in enumerate(codes):
            torch.mul(table[place], sign, out=result[term, rows])
    return result


def neighbours(w: Tensor, exponent: Tensor, bits: int, terms: int = 1) -> tuple[Tensor, Tensor]:
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
    step = _per_channel(exp2(exponent - (most_index(bits) - 1)), w)
    scaled = w.detach().to(torch.float64) / step
    # The two searches differ only where a weight lies on a level: there both give that level.
    down = torch.bucketize(scaled, levels, right=True) - 1
    up = torch.bucketize(scaled, levels)
    last = len(levels) - 1
    return levels[down.clamp(min=0)] * step, levels[up.clamp(max=last)] * step


def snap(w: Tensor, exponent: Tensor, bits: int, terms: int = 1) -> Tensor:
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
    magnitude, step = in_steps(w, exponent, bits)
    if terms == 1:
        value = power(magnitude, bits, 1.5)
    else:
        value = nearest_sum(magnitude, bits, terms)
        value = torch.where(magnitude.isnan(), magnitude, value)
    return (value * step).to(w.dtype).copysign(w.detach())


def in_steps(w: Tensor, exponent: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """Magnitudes in units of the grid's least step, and that step, exact and without a gradient.

    Returns
    -------
    magnitude : of the shape of ``w``, float32 or float64: what ``w`` is and the step needs
    step : (outputs, 1, ...) of the same dtype
    """
    exponent = exponent - (most_index(bits) - 1)
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


def reach(w: Tensor, exponent: Tensor, terms: int = 1) -> Tensor:
    """The grid's greatest value, (outputs, 1, ...) in the dtype of ``w``."""
    return _per_channel(exp2(exponent) * terms, w).to(w.dtype)


def pieces(w: Tensor) -> list[slice]:
    """Slices of the output channels, each of about ``PIECE`` weights: what a cache holds."""
    count = max(1, PIECE // max(1, w[:1].numel()))
    return [slice(start, start + count) for start in range(0, len(w), count)]


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
    """The nearest sum to each multiple of one half."""
    return grid(bits, terms)[0][_places_by_halves(bits, terms)].to(device, dtype)


@lru_cache
def _codes_by_halves(bits, terms, device):
    """The codes of that sum, (terms, multiples)."""
    return grid(bits, terms)[1][_places_by_halves(bits, terms)].T.contiguous().to(device)
