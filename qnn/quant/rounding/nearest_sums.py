"""Weights of a layer whose sums are nearest to those wanted, with the exponents of their rows."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from qnn.quant.rounding.beam import Triangle, beam
from qnn.quant.rounding.quadratic import GridRows, descend, with_missing

SHIFTS = (0, -1, 1)  # of a row's exponent, of which the one with the nearest sums is taken
WIDTH = 128  # choices that are followed of a row
# Twice as many would take half as long again, and of large layers lose up to 1 % less.
VALUES = 1 << 22  # of all choices of a layer together
DESCENDED = 16  # of what is found of a row, the nearest, that a descent begins from


@torch.no_grad()
def fit_best(
    rows: GridRows,
    moments: Tensor,
    missing: Tensor | None,
    sweeps: int,
    least: Tensor | None = None,
    width: int = WIDTH,
) -> tuple[Tensor, Tensor]:
    """Of the choices that a beam ends with, descended from, the one with the nearest sums by row.

    The exponent of least squared error of the weights knows nothing of what they are multiplied by,
    nor of the weights that take errors up. So those next to it are tried too, with a single choice
    each, and the beam has the nearest of them.

    Parameters
    ----------
    moments, missing, sweeps : as for ``fit_sums``
    least : (groups, rows), below which no exponent is tried
    width : choices that are followed, at most; of large layers they are fewer

    Returns
    -------
    Values of the grid, (groups, rows, inputs) float64; and their exponents, (groups, rows)
    """
    rows, triangle = with_missing(rows, moments, missing), Triangle.of(moments)
    tried = rows.exponent[:, :, None] + torch.tensor(SHIFTS)
    if least is not None:
        tried = tried.maximum(least.minimum(rows.exponent)[:, :, None])
    found = _Found.by_beam(rows, tried, triangle, 1)
    width = min(width, max(1, VALUES // rows.w.numel()))
    if width > 1:
        found = found.beside(_Found.by_beam(rows, found.nearest(1).exponent, triangle, width))
    found = found.nearest(DESCENDED)
    # One problem: what was found of a row are rows more.
    many = _repeated(rows, found.exponent)
    values = descend(many, moments, found.values.reshape(many.w.shape), sweeps)
    values = values.reshape(found.values.shape)
    change = values - rows.w[:, :, None]
    lost = ((change.flatten(1, 2) @ moments).reshape(change.shape) * change).sum(3)
    # A row of zeros has no exponent of its own.
    lost[(found.exponent != tried[:, :, :1]) & ~values.any(3)] = torch.inf
    best = _Found(values, found.exponent, lost).nearest(1)
    values, exponent = best.values[:, :, 0], best.exponent[:, :, 0]
    return values, torch.where(values.any(2), exponent, tried[:, :, 0])


@dataclass(frozen=True, eq=False)
class _Found:
    """What was found of each row.

    Members
    -------
    values : of the grid, (groups, rows, found, inputs)
    exponent, lost : (groups, rows, found)
    """

    values: Tensor
    exponent: Tensor
    lost: Tensor

    @staticmethod
    def by_beam(rows, exponents, triangle, width):
        """``width`` choices of each row with each of its ``exponents``, (groups, rows, tries)."""
        values, lost = beam(_repeated(rows, exponents), triangle, width)
        each = exponents.repeat_interleave(lost.shape[2], 2)
        return _Found(values.reshape(*each.shape, -1), each, lost.reshape(each.shape))

    def beside(self, other):
        """What both have."""
        mine, others = vars(self).values(), vars(other).values()
        return _Found(*(torch.cat(pair, 2) for pair in zip(mine, others, strict=True)))

    def nearest(self, most):
        """So many of each row with the nearest sums."""
        which = self.lost.topk(min(most, self.lost.shape[2]), dim=2, largest=False).indices
        of_values = which[..., None].expand(-1, -1, -1, self.values.shape[3])
        rest = (each.gather(2, which) for each in (self.exponent, self.lost))
        return _Found(self.values.gather(2, of_values), *rest)


def _repeated(rows, exponents):
    """Each row once for each of its exponents, (groups, rows, tries), one after the other."""
    tries, terms = exponents.shape[2], rows.terms
    if not isinstance(terms, int):
        terms = tuple(each for each in terms for _ in range(tries))
    many, exponent = rows.w.repeat_interleave(tries, 1), exponents.flatten(1)
    return replace(rows, w=many, exponent=exponent, terms=terms)
