"""Columns of a layer's weights rounded in order, of which several choices are followed (a beam).

The columns that follow take up each error. What a row has lost so far is then what it loses in the
end if they need no rounding, so that choices compare at every column, and the best are followed:
the other neighbour of a value costs more at once, and can cost less later.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from qnn.quant import pow2
from qnn.quant.rounding.quadratic import GridRows, inverse_of, permuted

BLOCK = 32  # columns whose errors reach the rest together, and that are copied at each of them
ROUNDS = 144  # in which columns get their order


@dataclass(frozen=True, eq=False)
class Triangle:
    """A layer's quadratic problem, column by column.

    Members
    -------
    order : (groups, inputs) numbers of columns, in which they are rounded
    factor : (groups, inputs, inputs) upper one of the inverse moments, in that order: a row is all
        that the inverse of the rest has to say, as in GPTQ
    """

    order: Tensor
    factor: Tensor

    @staticmethod
    def of(moments: Tensor) -> "Triangle":
        """The problem of positive definite second moments, (groups, inputs, inputs)."""
        inverse = inverse_of(moments)
        order = column_order(inverse)
        return Triangle(order, torch.linalg.cholesky(permuted(inverse, order), upper=True))


@torch.no_grad()
def beam(rows: GridRows, triangle: Triangle, width: int) -> tuple[Tensor, Tensor]:
    """The choices with the nearest sums that a beam finds, ``width`` of each row, best first.

    Returns
    -------
    Values of the grid, (groups, rows, choices, inputs) float64, and ``d H d^T`` of each, (groups,
    rows, choices); infinite where there are fewer choices

    Source
    ------
    The M-algorithm, or K-best sphere decoder (Guo and Nilsson, "Algorithm and implementation of the
    K-best sphere decoding for MIMO detection", 2006), for the triangular problem of GPTQ
    (arXiv:2210.17323, algorithm 1).
    """
    order, factor = triangle.order, triangle.factor
    groups, count, inputs = rows.w.shape
    later = rows.w.gather(2, order[:, None].expand(-1, count, -1))[:, :, None]
    cost, blocks = later.new_zeros(groups, count, 1), []
    for start in range(0, inputs, BLOCK):
        here = slice(start, min(start + BLOCK, inputs))
        own, rest = factor[:, here, here], factor[:, here, here.stop :]
        near, far = later[..., : own.shape[1]], later[..., own.shape[1] :]
        cost, values, errors, origin = _block(rows, own, near, cost, width)
        blocks.append((values, origin))
        took_up = (errors.flatten(1, 2) @ rest).reshape(*errors.shape[:3], rest.shape[2])
        later = _of(far, origin).sub_(took_up)
    place, parts = _all(cost), []
    for values, origin in reversed(blocks):
        parts.append(_of(values, place))
        place = origin.gather(2, place)
    back = order.argsort(1)[:, None, None]
    chosen = torch.cat(parts[::-1], 3)
    return chosen.gather(3, back.expand_as(chosen)), cost


def _block(rows, factor, near, cost, width):
    """Choices of the columns ``near``, (groups, rows, choices, columns), where ``cost`` was lost.

    Returns
    -------
    What is lost by each choice, its values and their errors, and which choice before it follows
    """
    steps = []
    for column, diagonal in enumerate(factor.diagonal(dim1=1, dim2=2).T):
        one = near[..., 0]
        down, up = _neighbours(rows, one)
        both = torch.stack((down, up), 3)
        error = (one[..., None] - both) / diagonal[:, None, None, None]
        lost = cost[..., None] + error.square()
        # Where only one value is near, it is one choice.
        lost[..., 1].masked_fill_(down == up, torch.inf)
        kept = lost.flatten(2).topk(min(width, 2 * one.shape[2]), dim=2, largest=False)
        cost, path = kept.values, kept.indices // 2
        value, error = (each.flatten(2).gather(2, kept.indices) for each in (both, error))
        steps.append((value, error, path))
        weights = factor[:, column, column + 1 :][:, None, None]
        near = _of(near[..., 1:], path).addcmul_(error[..., None], weights, value=-1)
    # From each choice at the end back to where it comes from.
    place, values, errors = _all(cost), [], []
    for value, error, path in reversed(steps):
        values.append(value.gather(2, place))
        errors.append(error.gather(2, place))
        place = path.gather(2, place)
    return cost, torch.stack(values[::-1], 3), torch.stack(errors[::-1], 3), place


def column_order(inverse: Tensor) -> Tensor:
    """In which columns are rounded, (groups, inputs): next, whose error the rest takes up least.

    So the last columns, whose errors hardly any take up, are those of the least errors. Of many
    columns some are taken at a time.

    Parameters
    ----------
    inverse : (groups, inputs, inputs) of the second moments

    Source
    ------
    Wolniansky et al., "V-BLAST: an architecture for realizing very high data rates over the
    rich-scattering wireless channel", 1998: the order of its detection.
    """
    left, inputs = inverse.clone(), inverse.shape[1]
    free, order = left.diagonal(dim1=1, dim2=2).clone(), inverse.new_zeros(len(left), 0).long()
    step = -(-inputs // ROUNDS)
    while order.shape[1] < inputs:
        # What is left of a column's error when the rest has taken it up is 1 over this.
        picked = free.topk(min(step, inputs - order.shape[1]), dim=1, largest=False).indices
        order = torch.cat((order, picked), 1)
        columns = left.gather(2, picked[:, None].expand(-1, inputs, -1))
        pivots = columns.gather(1, picked[:, :, None].expand(-1, -1, picked.shape[1]))
        left.baddbmm_(columns, torch.linalg.solve(pivots, columns.transpose(1, 2)), alpha=-1)
        free = left.diagonal(dim1=1, dim2=2).scatter(1, order, torch.inf)
    return order


def _all(cost):
    """The number of each choice, (groups, rows, choices)."""
    return torch.arange(cost.shape[2]).expand_as(cost)


def _neighbours(rows, values):
    """The grid's values under and over ``values``, (groups, rows, choices)."""
    flat, exponent = values.flatten(0, 1), rows.exponent.flatten()
    found = pow2.neighbours(flat, exponent, rows.bits, rows.terms)
    return [each.reshape(values.shape) for each in found]


def _of(values, place):
    """``values`` (groups, rows, choices, columns) of the choices ``place``."""
    return values.gather(2, place[..., None].expand(-1, -1, -1, values.shape[3]))
