"""Weights of a layer whose sums are nearest to those wanted, with the exponents of their rows."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from qnn.quant.rounding.beam import Triangle, beam, choices_at, column_order
from qnn.quant.rounding.quadratic import GridRows, descend, inverse_of, with_missing

SHIFTS = (0, -1, 1)  # of a row's exponent, of which the one with the nearest sums is taken
# Of a ResNet-8, twice as many choices each, narrow and wide, take 1.6 times as long and lose 0.6 %
# less; half as many orders lose up to 15 % more of a layer.
ORDERS, NARROW = 8, 2  # choices that are followed of a row in each order, with each exponent
WIDTH = 64  # choices that are followed of a row with its best exponent
VALUES = 1 << 22  # of all choices together, 32 MiB in float64: of large layers they are fewer
ORDER_VALUES = 1 << 24  # of the moments in all orders together, likewise
DESCENDED = 16  # of what is found of a row, the nearest, that a descent begins from


@torch.no_grad()
def fit_best(
    rows: GridRows,
    moments: Tensor,
    missing: Tensor | None,
    sweeps: int,
    least: Tensor | None = None,
    thorough: bool = True,
) -> tuple[Tensor, Tensor]:
    """Of the choices that beams end with, descended from, the one with the nearest sums by row.

    The exponent of least squared error of the weights knows nothing of what they are multiplied by,
    nor of the weights that take errors up: narrow beams, in several orders of the columns, try
    those next to it, too. A wide one has the exponent of the nearest sums. Where operands hardly go
    together, many orders find more than many choices.

    Parameters
    ----------
    moments, missing, sweeps : as for ``fit_sums``
    least : (groups, rows), below which no exponent is tried
    thorough : whether beams have several choices, and orders; of large layers they have fewer

    Returns
    -------
    Values of the grid, (groups, rows, inputs) float64; and their exponents, (groups, rows)
    """
    rows, inverse = with_missing(rows, moments, missing), inverse_of(moments)
    tried = rows.exponent[:, :, None] + torch.tensor(SHIFTS)
    if least is not None:
        tried = tried.maximum(least.minimum(rows.exponent)[:, :, None])
    orders = _orders(inverse, ORDERS if thorough else 1)
    triangle = Triangle.of(moments, inverse, orders)
    found = _Found.by_beam(rows, tried, triangle, NARROW if thorough else 1)
    if thorough:
        best, first = found.nearest(1).exponent, triangle.first(len(rows.w))
        found = found.beside(_Found.by_beam(rows, best, first, WIDTH))
    found = found.nearest(DESCENDED)
    # One problem: what was found of a row are rows more.
    many = _repeated(rows, found.exponent)
    values = descend(many, moments, found.values.reshape(many.w.shape), sweeps)
    values = values.reshape(found.values.shape)
    change = values - rows.w[:, :, None]
    lost = ((change.flatten(1, 2) @ moments).reshape(change.shape) * change).sum(3)
    best = _Found(values, found.exponent, lost).nearest(1)
    values, exponent = best.values[:, :, 0], best.exponent[:, :, 0]
    # A row of zeros has no exponent of its own, and keeps that of the weights.
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
    def by_beam(rows, exponents, triangle, most):
        """Up to ``most`` choices in each order and with each of (groups, rows, tries) exponents."""
        # One problem: exponents are rows more, and orders are groups more.
        groups, count, tries = exponents.shape
        orders = len(triangle.order) // groups
        many = _in_groups(_repeated(rows, exponents), orders)
        values, lost = beam(many, triangle, min(most, max(1, VALUES // many.w.numel())))
        # By group and row, all that was found.
        parts = orders, groups, count, tries * lost.shape[2]
        values = values.reshape(*parts, -1).permute(1, 2, 0, 3, 4).flatten(2, 3)
        lost = lost.reshape(parts).permute(1, 2, 0, 3)
        each = exponents.repeat_interleave(lost.shape[3] // tries, 2)[:, :, None].expand_as(lost)
        return _Found(values, each.flatten(2), lost.flatten(2))

    def beside(self, other):
        """What both have."""
        return _Found(
            torch.cat((self.values, other.values), 2),
            torch.cat((self.exponent, other.exponent), 2),
            torch.cat((self.lost, other.lost), 2),
        )

    def nearest(self, most):
        """So many of each row with the nearest sums."""
        which = self.lost.sort(dim=2, stable=True).indices[..., :most]
        exponent, lost = (each.gather(2, which) for each in (self.exponent, self.lost))
        return _Found(choices_at(self.values, which), exponent, lost)


def _orders(inverse, most):
    """Orders of columns, (orders, groups, inputs): of least last errors, as they are, and drawn."""
    groups, inputs = inverse.shape[:2]
    count = min(most, max(1, ORDER_VALUES // inverse.numel()))
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.randperm(inputs, generator=generator) for _ in range(count - 2)]
    fixed = [each.expand(groups, -1) for each in (torch.arange(inputs), *drawn)]
    return torch.stack([column_order(inverse), *fixed][:count])


def _in_groups(rows, times):
    """All rows so many ``times``, in groups of their own."""
    terms = rows.terms if isinstance(rows.terms, int) else rows.terms * times
    w, exponent = rows.w.repeat(times, 1, 1), rows.exponent.repeat(times, 1)
    return replace(rows, w=w, exponent=exponent, terms=terms)


def _repeated(rows, exponents):
    """Each row once for each of its exponents, (groups, rows, tries), one after the other."""
    tries, terms = exponents.shape[2], rows.terms
    if not isinstance(terms, int):
        terms = tuple(each for each in terms for _ in range(tries))
    many, exponent = rows.w.repeat_interleave(tries, 1), exponents.flatten(1)
    return replace(rows, w=many, exponent=exponent, terms=terms)
