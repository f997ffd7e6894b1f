"""Groups of a layer's rows that get terms together, so that the array computes them together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from qnn.ir.families import families
from qnn.ir.graph import Graph
from qnn.ptq.auto.parts import Costs, Part
from qnn.ptq.auto.row_shares import Shares
from qnn.quant.term_budget import Losses

USUAL_ROWS = 16  # of a group where no hardware is named: those of the reference array
MOST_GROUPS = 8  # of a layer: what finer ones would gain is less than what is known of rows

Groups = Mapping[str, Sequence[tuple[int, ...]]]  # by layer: the rows of each


@dataclass(frozen=True)
class RowGroups:
    """The groups of all layers.

    Members
    -------
    rows : of each group, by layer
    weights : of each group, its share of what its layer costs
    """

    rows: Groups
    weights: Mapping[str, Sequence[float]]

    @staticmethod
    def of(graph: Graph, losses: Losses, shares: Shares, at_a_time: int | None) -> "RowGroups":
        """Groups of as many rows as are computed at a time, those first that lose most.

        Layers whose channels must have one order have the same groups, so that a group of one is
        computed together in all of them.

        Parameters
        ----------
        graph : the integer graph, of any terms
        losses, shares : of what is lost with one term
        at_a_time : rows that are computed at a time; None: each takes its own terms
        """
        rows: dict[str, list[tuple[int, ...]]] = {}
        weights: dict[str, list[float]] = {}
        for family in families(graph):
            names = [conv.name for conv in family.makers if conv.name in losses]
            for count in {len(shares[name][1]) for name in names}:
                own = [name for name in names if len(shares[name][1]) == count]
                lost = sum(losses[name][1] * shares[name][1] for name in own)
                groups = _groups(lost, at_a_time or USUAL_ROWS, family.fixed)
                steps = [-(-len(group) // (at_a_time or 1)) for group in groups]
                rows |= dict.fromkeys(own, groups)
                weights |= {name: [step / sum(steps) for step in steps] for name in own}
        return RowGroups(rows, weights)

    def losses(self, losses: Losses, shares: Shares) -> dict[Part, dict[int, float]]:
        """What each group loses with each number of terms; those measured last stand for more."""
        return {
            (name, number): {
                k: lost * float(shares[name][min(k, max(shares[name]))][list(group)].sum())
                for k, lost in losses[name].items()
            }
            for name, groups in self.rows.items()
            for number, group in enumerate(groups)
        }

    def costs(self, costs: Costs) -> dict[Part, dict[int, float]]:
        """What each group costs with each number of terms."""
        return {
            (name, number): {k: cost * weight for k, cost in costs[name].items()}
            for name, weights in self.weights.items()
            for number, weight in enumerate(weights)
        }

    def terms(self, parts: Mapping[Part, int]) -> dict[str, int | tuple[int, ...]]:
        """Terms as ``quantize`` takes them, of those of each group."""
        found: dict[str, int | tuple[int, ...]] = {}
        for name, groups in self.rows.items():
            chosen = [parts[name, number] for number in range(len(groups))]
            by_row = {row: k for k, group in zip(chosen, groups, strict=True) for row in group}
            alike = len(set(chosen)) == 1
            found[name] = chosen[0] if alike else tuple(by_row[row] for row in sorted(by_row))
        return found


def _groups(lost: Tensor, at_a_time: int, fixed: bool) -> list[tuple[int, ...]]:
    tiles = -(-len(lost) // at_a_time)
    size = at_a_time * -(-tiles // MOST_GROUPS)
    # An order that is given from outside says which rows are computed together.
    order = torch.arange(len(lost)) if fixed else lost.argsort(descending=True, stable=True)
    return [tuple(sorted(part.tolist())) for part in order.split(size)]
