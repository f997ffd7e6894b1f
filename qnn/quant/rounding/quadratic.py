"""Weights of one layer rounded together, so that its sums change least: a quadratic problem.

The squared change of a sum, averaged over what the layer reads, is ``d H d^T`` for a row's change
``d`` and the second moments ``H`` of the operands. Columns are rounded one after the other, and
those that follow take up each error (GPTQ); then single weights move to other values of the grid as
long as that helps (coordinate descent).
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from qnn.quant import pow2
from qnn.quant.by_terms import Terms

# As in the paper: the product with the rest is then a matrix product, and the block stays in cache.
BLOCK = 128  # columns whose errors reach the rest together
SHIFTS = (0, -1, 1)  # of a row's exponent, of which the one with the nearest sums is taken


@dataclass(frozen=True, eq=False)
class GridRows:
    """The weights of a layer and their grids, in groups that read the same operands.

    Members
    -------
    w : (groups, rows, inputs) float64
    exponent : (groups, rows) integers
    bits, terms : the format; terms may differ by row, in the order of the groups
    """

    w: Tensor
    exponent: Tensor
    bits: int
    terms: Terms = 1

    @staticmethod
    def of(w: Tensor, exponent: Tensor, groups: int, bits: int, terms: Terms = 1) -> "GridRows":
        """The rows of a layer's weights (outputs, ...), whose outputs follow its groups."""
        flat = w.detach().double().reshape(groups, len(w) // groups, -1)
        return GridRows(flat, exponent.reshape(groups, -1), bits, terms)

    def nearest(self, w: Tensor) -> Tensor:
        """The grid's values nearest to ``w``, (groups, rows, columns), in its own dtype."""
        flat = w.flatten(0, 1)
        return pow2.snap(flat, self.exponent.flatten(), self.bits, self.terms).reshape(w.shape)


@torch.no_grad()
def damped(moments: Tensor, damping: float) -> Tensor:
    """``moments`` (groups, inputs, inputs) with a share of their mean diagonal added to it.

    Inputs that are always 0 get 1 there, so that they stand alone.
    """
    result = moments.clone()
    diagonal = result.diagonal(dim1=1, dim2=2)
    more = (damping * diagonal.mean(1, keepdim=True)).expand_as(diagonal)
    diagonal.add_(torch.where(diagonal == 0, 1.0, more))
    return result


@torch.no_grad()
def fit_sums(
    rows: GridRows,
    moments: Tensor,
    missing: Tensor | None,
    sweeps: int,
    *,
    largest_first: bool = True,
) -> Tensor:
    """Values of the grid, (groups, rows, inputs) float64, whose sums are nearest to those wanted.

    What the operands lack beside those that the wanted sums are of goes into the weights first,
    unrounded: a ridge regression, which stays at the weights where the operands say nothing.

    Parameters
    ----------
    moments, largest_first : as for ``round_columns``; damped
    missing : (groups, rows, inputs), mean products of the operands with what the sums of the
        weights lack beside the wanted ones; None: those sums are wanted
    sweeps : of ``descend``, which follows

    Source
    ------
    Targets behind rounded operands as in Li et al., "GPTAQ", arXiv:2504.02692.
    """
    rows = _with_missing(rows, moments, missing)
    return _fitted(rows, moments, sweeps, largest_first)


@torch.no_grad()
def fit_exponents(
    rows: GridRows,
    moments: Tensor,
    missing: Tensor | None,
    sweeps: int,
    least: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """What ``fit_sums`` gives, with the exponent of each row whose sums are nearest.

    The one of least squared error of the weights knows nothing of what they are multiplied by, nor
    of the weights that take errors up; tried are the ones next to it too.

    Parameters
    ----------
    moments, missing, sweeps : as for ``fit_sums``
    least : (groups, rows), below which no exponent is tried

    Returns
    -------
    Values of the grid, (groups, rows, inputs) float64; and their exponents, (groups, rows)
    """
    rows = _with_missing(rows, moments, missing)
    tried = rows.exponent[:, None] + torch.tensor(SHIFTS)[:, None]
    if least is not None:
        tried = tried.maximum(least.minimum(rows.exponent)[:, None])
    # As so many rows more: what is computed of the moments serves all of them.
    many = _repeated(rows, tried)
    found = _fitted(many, moments, sweeps)
    change = found - many.w
    lost = ((change @ moments) * change).sum(2).reshape(tried.shape)
    found = found.reshape(*tried.shape, -1)
    # A row of zeros has no exponent of its own.
    lost[:, 1:][~found[:, 1:].any(3)] = torch.inf
    best = lost.argmin(1, keepdim=True)
    values = found.gather(1, best[..., None].expand(-1, -1, -1, found.shape[3]))
    return values[:, 0], tried.gather(1, best)[:, 0]


def _repeated(rows, exponents):
    """The rows of each group once for each of its exponents, (groups, times, rows)."""
    groups, times, count = exponents.shape
    terms = rows.terms
    if not isinstance(terms, int):
        parts = [terms[start : start + count] for start in range(0, groups * count, count)]
        terms = tuple(each for part in parts for each in part * times)
    return GridRows(rows.w.repeat(1, times, 1), exponents.flatten(1), rows.bits, terms)


def _with_missing(rows, moments, missing):
    if missing is None:
        return rows
    more = torch.linalg.solve(moments, missing.transpose(1, 2)).transpose(1, 2)
    return replace(rows, w=rows.w + more)


def _fitted(rows, moments, sweeps, largest_first=True):
    start = round_columns(rows, moments, largest_first=largest_first)
    return descend(rows, moments, start, sweeps)


@torch.no_grad()
def round_columns(
    rows: GridRows, moments: Tensor, *, largest_first: bool = True, block: int = BLOCK
) -> Tensor:
    """Values of the grid, (groups, rows, inputs) float64, column by column.

    Parameters
    ----------
    moments : (groups, inputs, inputs) positive definite second moments of the inputs
    largest_first : whether columns of the largest inputs are rounded first, while there are many
        left that can take their errors up
    block : columns at a time; any number gives the same

    Source
    ------
    Frantar et al., "GPTQ", arXiv:2210.17323, algorithm 1; the grid's nearest value of a column
    stands in for uniform rounding.
    """
    count = moments.shape[1]
    order = torch.arange(count).expand(len(moments), count)
    if largest_first:
        order = moments.diagonal(dim1=1, dim2=2).argsort(dim=1, descending=True, stable=True)
    w = rows.w.gather(2, order[:, None].expand_as(rows.w)).clone()
    factor = _inverse_factor(_permuted(moments, order))
    result = torch.empty_like(w)
    for start in range(0, count, block):
        stop = min(start + block, count)
        errors = torch.zeros_like(w[:, :, start:stop])
        for column in range(start, stop):
            one = w[:, :, column : column + 1]
            # Also at the ends of the grid: what clips is an error like another, which later columns
            # take up.
            result[:, :, column : column + 1] = rows.nearest(one)
            error = (one - result[:, :, column : column + 1]) / factor[
                :, column, column, None, None
            ]
            # A row of the upper factor is all that the inverse of the rest has to say: the paper's
            # Cholesky form.
            w[:, :, column:stop] -= error * factor[:, column, None, column:stop]
            errors[:, :, column - start] = error[:, :, 0]
        w[:, :, stop:] -= errors @ factor[:, start:stop, stop:]
    return result.gather(2, order.argsort(dim=1)[:, None].expand_as(result))


@torch.no_grad()
def descend(rows: GridRows, moments: Tensor, start: Tensor, sweeps: int) -> Tensor:
    """Values of the grid from ``start`` on, where no weight alone can be better any more.

    In a sweep each weight goes to the value that is best while all others of its row stay. It ends
    when none moves, or after so many ``sweeps``.

    Parameters
    ----------
    moments : as for ``round_columns``
    start : (groups, rows, inputs) values of the grid
    """
    result = start.clone()
    slope = (result - rows.w) @ moments
    for _ in range(sweeps):
        moved = False
        for first in range(0, result.shape[2], BLOCK):
            part = slice(first, min(first + BLOCK, result.shape[2]))
            change = _descend_block(rows, moments[:, part, part], slope[:, :, part], result, part)
            if bool(change.any()):
                moved = True
                slope += change @ moments[:, part]
        if not moved:
            break
    return result


def _descend_block(rows, moments, slope, result, part):
    """Move the weights of some columns, and give their changes; ``slope`` is theirs before."""
    slope, diagonal = slope.clone(), moments.diagonal(dim1=1, dim2=2)
    changes = torch.zeros_like(slope)
    for column in range(slope.shape[2]):
        old = result[:, :, part.start + column]
        best = old - slope[:, :, column] / diagonal[:, column, None]
        new = rows.nearest(best[:, :, None])[:, :, 0]
        change = new - old
        if bool(change.any()):
            slope += change[:, :, None] * moments[:, column, None]
            changes[:, :, column] = change
            result[:, :, part.start + column] = new
    return changes


def _permuted(moments, order):
    taken = moments.gather(1, order[:, :, None].expand_as(moments))
    return taken.gather(2, order[:, None].expand_as(moments))


def _inverse_factor(moments):
    """The upper Cholesky factor of the inverse."""
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(moments))
    return torch.linalg.cholesky(inverse, upper=True)
