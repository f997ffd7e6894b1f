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
    order: Tensor | None = None,
) -> Tensor:
    """Values of the grid, (groups, rows, inputs) float64, whose sums are nearest to those wanted.

    What the operands lack beside those that the wanted sums are of goes into the weights first,
    unrounded: a ridge regression, which stays at the weights where the operands say nothing.

    Parameters
    ----------
    moments, order : as for ``round_columns``; damped
    missing : (groups, rows, inputs), mean products of the operands with what the sums of the
        weights lack beside the wanted ones; None: those sums are wanted
    sweeps : of ``descend``, which follows

    Source
    ------
    Targets behind rounded operands as in Li et al., "GPTAQ", arXiv:2504.02692.
    """
    rows = with_missing(rows, moments, missing)
    return descend(rows, moments, round_columns(rows, moments, order), sweeps)


def largest_first(moments: Tensor) -> Tensor:
    """Columns of the largest inputs first, while many are left that can take their errors up."""
    return moments.diagonal(dim1=1, dim2=2).argsort(dim=1, descending=True, stable=True)


def with_missing(rows: GridRows, moments: Tensor, missing: Tensor | None) -> GridRows:
    """The rows whose sums over the operands are those wanted, as far as they can be."""
    if missing is None:
        return rows
    more = torch.linalg.solve(moments, missing.transpose(1, 2)).transpose(1, 2)
    return replace(rows, w=rows.w + more)


@torch.no_grad()
def round_columns(
    rows: GridRows, moments: Tensor, order: Tensor | None = None, *, block: int = BLOCK
) -> Tensor:
    """Values of the grid, (groups, rows, inputs) float64, column by column.

    Parameters
    ----------
    moments : (groups, inputs, inputs) positive definite second moments of the inputs
    order : (groups, inputs) numbers of columns, in which they are rounded; None: as they are
    block : columns at a time; any number gives the same

    Source
    ------
    Frantar et al., "GPTQ", arXiv:2210.17323, algorithm 1; the grid's nearest value of a column
    stands in for uniform rounding.
    """
    if order is None:
        order = torch.arange(moments.shape[1]).expand(moments.shape[:2])
    # Columns lie before rows, so that a column's values lie together.
    w = rows.w.transpose(1, 2).gather(1, order[:, :, None].expand(-1, -1, rows.w.shape[1]))
    factor = torch.linalg.cholesky(taken(inverse_of(moments), order), upper=True)
    result, count = torch.empty_like(w), w.shape[1]
    for start in range(0, count, block):
        stop = min(start + block, count)
        errors = torch.empty_like(w[:, start:stop])
        for column in range(start, stop):
            one, later = w[:, column], slice(column + 1, stop)
            # Also at the ends of the grid: what clips is an error like another, which later columns
            # take up.
            result[:, column] = rows.nearest(one[..., None])[..., 0]
            error = (one - result[:, column]) / factor[:, column, column, None]
            # A row of the upper factor is all that the inverse of the rest has to say: the paper's
            # Cholesky form.
            w[:, later].addcmul_(factor[:, column, later, None], error[:, None], value=-1)
            errors[:, column - start] = error
        w[:, stop:].baddbmm_(factor[:, start:stop, stop:].transpose(1, 2), errors, alpha=-1)
    back = order.argsort(dim=1)[:, :, None].expand_as(result)
    return result.gather(1, back).transpose(1, 2)


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
    # Columns before rows, as in rounding.
    result = start.transpose(1, 2).clone(memory_format=torch.contiguous_format)
    slope = (moments @ (start - rows.w).transpose(1, 2)).contiguous()
    for _ in range(sweeps):
        moved = False
        for first in range(0, result.shape[1], BLOCK):
            part = slice(first, min(first + BLOCK, result.shape[1]))
            change = _descend_block(rows, moments[:, part, part], slope[:, part], result[:, part])
            if bool(change.any()):
                moved = True
                slope.baddbmm_(moments[:, :, part], change)
        if not moved:
            break
    return result.transpose(1, 2)


def _descend_block(rows, moments, slope, result):
    """Move the weights of some columns, and give their changes; ``slope`` is theirs before."""
    slope, diagonal = slope.clone(), moments.diagonal(dim1=1, dim2=2)
    changes = torch.zeros_like(slope)
    for column, (old, of_sum) in enumerate(zip(result.unbind(1), slope.unbind(1), strict=True)):
        best = old - of_sum / diagonal[:, column, None]
        new = rows.nearest(best[..., None])[..., 0]
        changes[:, column] = new - old
        if bool(changes[:, column].any()):
            later = slice(column + 1, None)
            slope[:, later].addcmul_(moments[:, column, later, None], changes[:, column, None])
            result[:, column] = new
    return changes


def taken(moments: Tensor, columns: Tensor) -> Tensor:
    """The moments of ``columns``, (groups, columns), in their order."""
    rows = moments.gather(1, columns[:, :, None].expand(-1, -1, moments.shape[2]))
    return rows.gather(2, columns[:, None].expand(-1, rows.shape[1], -1))


def inverse_of(moments: Tensor) -> Tensor:
    """The inverse of positive definite ``moments``."""
    return torch.cholesky_inverse(torch.linalg.cholesky(moments))
