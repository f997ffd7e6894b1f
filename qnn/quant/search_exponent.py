"""The exponent of the weights of each output channel that loses least to the grid."""

import math

import torch
from torch import Tensor

from qnn.quant.pow2 import exp2, grid, in_steps, nearest_sum, pieces

# A grid whose top is 1/2048 of the greatest weight errs by nearly all of that weight: only some
# 2**22 others, too small for larger grids, could outweigh it.
DEPTH = 12  # exponents that the search tries, from the one that clips nothing downwards
SLACK = 1e-9  # of a bound's own sums in float64, which are exact to about 1e-13


def search_exponent(
    w: Tensor,
    bits: int,
    terms: int = 1,
    *,
    least: Tensor | None = None,
    most: Tensor | None = None,
) -> Tensor:
    """The exponent of each output channel with the least squared error after ``nearest``.

    Tries ``DEPTH`` exponents, from the least one whose 2**e no weight exceeds downwards; of equal
    errors the larger exponent wins. A channel of zeros gets 0.

    Parameters
    ----------
    w : (outputs, ...) float
    least, most : (outputs,) integers that bound the result; ``least`` wins over ``most``

    Returns
    -------
    (outputs,) int64
    """
    found = torch.zeros(len(w), dtype=torch.int64, device=w.device)
    for rows in pieces(w):
        flat = w[rows].detach().to(torch.float64).reshape(len(w[rows]), -1)
        mantissa, top = torch.frexp(flat.abs().amax(1))
        top = torch.where(mantissa == 0, 0, top.to(torch.int64) - (mantissa == 0.5).to(torch.int64))
        trials = [
            _bounded(top - depth, *(None if b is None else b[rows] for b in (least, most)))
            for depth in range(DEPTH)
        ]
        found[rows] = _least_error(flat, trials, bits, terms)
    return found


def _least_error(flat, trials, bits, terms):
    """The first of some falling exponents with the least squared error, for each channel."""
    first = trials[0]
    magnitude, _ = in_steps(flat, first, bits)
    most = grid(bits, terms)[0][-1] * math.sqrt(flat.shape[1])
    norm, best = magnitude.square().sum(1).sqrt(), first.clone()
    error = _squared_error(magnitude, bits, terms)
    for trial in trials[1:]:
        # All in least steps of the first: a power of two scales every number exactly.
        scale = exp2(first - trial)
        # By the triangle inequality the error is at least what the weights' norm has over the
        # longest vector of the grid, which gets shorter with each trial. The slack is for rounding.
        missing = (norm - most / scale).clamp(min=0).square() * (1 - SLACK)
        rows = (missing < error).nonzero().flatten()
        if not len(rows):
            break
        scale = scale[rows, None]
        trial_error = _squared_error(magnitude[rows] * scale, bits, terms) / scale[:, 0].square()
        # Strictly better only: of equal errors the one found first wins, which is the larger
        # exponent.
        better = trial_error < error[rows]
        best[rows] = torch.where(better, trial[rows], best[rows])
        error[rows] = torch.where(better, trial_error, error[rows])
    return best


def _squared_error(magnitude, bits, terms):
    """The error of each channel, in squares of the least step."""
    return (magnitude - nearest_sum(magnitude, bits, terms)).square_().sum(1)


def _bounded(exponent, least, most):
    if most is not None:
        exponent = exponent.minimum(most.to(exponent))
    if least is not None:
        exponent = exponent.maximum(least.to(exponent))
    return exponent
