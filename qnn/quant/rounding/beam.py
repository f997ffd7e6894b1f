"""Columns of a layer's weights rounded in order, of which several choices are followed (a beam).

The columns that follow take up each error. What a row has lost so far is then what it loses in the
end if they need no rounding, so that choices compare at every column, and the best are followed:
the other neighbour of a value costs more at once, and can cost less later.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from qnn.quant import pow2
from qnn.quant.rounding.quadratic import GridRows, taken

BLOCK = 32  # columns whose errors reach the rest together, and that are copied at each of them
ROUNDS = 144  # in which columns get their order


@dataclass(frozen=True, eq=False)
class Triangle:
    """A layer's quadratic problem, column by column.

    Members
    -------
    order : (groups, inputs) numbers of columns, in which they are rounded; several orders of the
        same columns are groups more, here and below
    factor : (groups, inputs, inputs), the upper Cholesky factor of the inverse moments, in that
        order: of it, GPTQ takes how the columns that follow take an error up
    alone : (groups, inputs) whether a column goes together with no other, as of an input that is
        always 0
    """

    order: Tensor
    factor: Tensor
    alone: Tensor

    @staticmethod
    def of(moments: Tensor, inverse: Tensor, orders: Tensor) -> "Triangle":
        """The problem in each of ``orders``, (orders, groups, inputs), which are groups more.

        Parameters
        ----------
        moments, inverse : (groups, inputs, inputs) positive definite second moments
        """
        times, order = len(orders), orders.flatten(0, 1)
        factor = torch.linalg.cholesky(taken(inverse.repeat(times, 1, 1), order), upper=True)
        return Triangle(order, factor, (moments.count_nonzero(2) == 1).repeat(times, 1))

    def first(self, groups: int) -> "Triangle":
        """The problem of the first ``groups``, as those of the first order."""
        return Triangle(self.order[:groups], self.factor[:groups], self.alone[:groups])


@torch.no_grad()
def beam(rows: GridRows, triangle: Triangle, width: int) -> tuple[Tensor, Tensor]:
    """The choices with the nearest sums that a beam finds, up to ``width`` a row, best first.

    Returns
    -------
    Values of the grid, (groups, rows, choices, inputs) float64, and ``d H d^T`` of each, (groups,
    rows, choices); infinite where there are fewer, and values are others' again

    Source
    ------
    The M-algorithm, or K-best sphere decoder (Guo and Nilsson, "Algorithm and implementation of the
    K-best sphere decoding for MIMO detection", 2006), for the triangular problem of GPTQ
    (arXiv:2210.17323, algorithm 1).
    """
    order, factor = triangle.order, triangle.factor
    count, inputs = rows.w.shape[1:]
    # Of a column that stands alone the nearest value is the best, and the other one no choice.
    w = torch.where(triangle.alone[:, None], rows.nearest(rows.w), rows.w)
    later, moved = (
        each.gather(2, order[:, None].expand(-1, count, -1)) for each in (w, rows.w - w)
    )
    lost = (moved / factor.diagonal(dim1=1, dim2=2)[:, None]).square().sum(2)
    cost, later, blocks = lost[:, :, None], later[:, :, None], []
    for start in range(0, inputs, BLOCK):
        here = slice(start, min(start + BLOCK, inputs))
        own, rest = factor[:, here, here], factor[:, here, here.stop :]
        near, far = later[..., : own.shape[1]], later[..., own.shape[1] :]
        cost, values, errors, origin = _block(rows, own, near, cost, width)
        blocks.append((values, origin))
        took_up = (errors.flatten(1, 2) @ rest).reshape(*errors.shape[:3], rest.shape[2])
        later = choices_at(far, origin).sub_(took_up)
    place, parts = _all(cost), []
    for values, origin in reversed(blocks):
        parts.append(choices_at(values, place))
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
        both = _neighbours(rows, one)
        error = (one[..., None] - both) / diagonal[:, None, None, None]
        lost = cost[..., None] + error.square()
        # Where only one value is near, it is one choice.
        lost[..., 1].masked_fill_(both[..., 0] == both[..., 1], torch.inf)
        # Of equal ones the nearest value of the best choice: a sort that is stable says so.
        cost, kept = (each[..., :width] for each in lost.flatten(2).sort(dim=2, stable=True))
        path = kept // 2
        value, error = (each.flatten(2).gather(2, kept) for each in (both, error))
        steps.append((value, error, path))
        weights = factor[:, column, column + 1 :][:, None, None]
        near = choices_at(near[..., 1:], path).addcmul_(error[..., None], weights, value=-1)
    # From each choice at the end back to where it comes from.
    place, values, errors = _all(cost), [], []
    for value, error, path in reversed(steps):
        values.append(value.gather(2, place))
        errors.append(error.gather(2, place))
        place = path.gather(2, place)
    return cost, torch.stack(values[::-1], 3), torch.stack(errors[::-1], 3), place


def column_order(inverse: Tensor) -> Tensor:
    """The order to round columns in, (groups, inputs): next, whose error the rest takes up least.

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
    groups, inputs = inverse.shape[:2]
    rest, step, orders = inverse.clone(), -(-inputs // ROUNDS), []
    done = torch.zeros(groups, inputs, dtype=torch.bool)
    for start in range(0, inputs, step):
        # What is left of a column's error when the rest has taken it up is 1 over this.
        left = rest.diagonal(dim1=1, dim2=2).masked_fill(done, torch.inf)
        picked = left.topk(min(step, inputs - start), dim=1, largest=False).indices
        orders.append(picked)
        done.scatter_(1, picked, True)
        # To leave them out would copy the rest, which of many columns takes longer than all this.
        columns = rest.gather(1, picked[:, :, None].expand(-1, -1, inputs))
        pivots = columns.gather(2, picked[:, None].expand(-1, picked.shape[1], -1))
        known = torch.linalg.solve(pivots, columns)
        rest.baddbmm_(columns.transpose(1, 2), known, alpha=-1)
    return torch.cat(orders, 1)


def _all(cost):
    """The number of each choice, (groups, rows, choices)."""
    return torch.arange(cost.shape[2]).expand_as(cost)


def _neighbours(rows, values):
    """The grid's nearest to each of (groups, rows, choices), and the one on its other side."""
    flat, exponent = values.flatten(0, 1), rows.exponent.flatten()
    down, up = pow2.neighbours(flat, exponent, rows.bits, rows.terms)
    nearest = rows.nearest(values)
    down, up = (each.reshape(values.shape) for each in (down, up))
    return torch.stack((nearest, torch.where(nearest == down, up, down)), 3)


def choices_at(values: Tensor, place: Tensor) -> Tensor:
    """``values`` (groups, rows, choices, columns) of the choices ``place``."""
    return values.gather(2, place[..., None].expand(-1, -1, -1, values.shape[3]))
