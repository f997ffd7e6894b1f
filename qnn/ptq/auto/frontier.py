"""Terms of all parts of a network that should lose least, for each cost that they may have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic

import numpy as np

from qnn.quant.term_budget import Bought, Name, bought

# Parts cost whole steps of what lies between the least and the most: of as many parts as a large
# network has, sums are off by less than a hundredth.
BUDGETS = 5000


@dataclass(frozen=True, eq=False)
class Frontier(Generic[Name]):
    """Designs that should lose less than any that is as cheap, with that of the fewest terms first.

    Members
    -------
    costs, losses : of the designs: costs never fall, and losses do
    """

    costs: Sequence[float]
    losses: Sequence[float]
    _first: Mapping[Name, int] = field(repr=False)
    _budgets: Sequence[int] = field(repr=False)  # of the others
    _bought: Bought[Name] = field(repr=False)

    def terms(self, number: int) -> dict[Name, int]:
        """Terms of each part in a design."""
        return self._bought.terms(self._budgets[number - 1]) if number else dict(self._first)


def frontier(
    losses: Mapping[Name, Mapping[int, float]], costs: Mapping[Name, Mapping[int, float]]
) -> Frontier[Name]:
    """The designs, by dynamic programming over what all parts together cost.

    Parameters
    ----------
    losses, costs : by part and terms; costs do not fall with more terms. A loss below 0, as
        rounding errors of measures are, is none
    """
    least = {name: min(found) for name, found in losses.items()}
    low = sum(costs[name][k] for name, k in least.items())
    room = sum(costs[name][max(found)] for name, found in losses.items()) - low
    unit = room / BUDGETS if room > 0 else 1.0
    lost = {
        name: {k: max(0.0, each) for k, each in found.items()} for name, found in losses.items()
    }
    steps = {
        name: {k: max(0, round((costs[name][k] - costs[name][least[name]]) / unit)) for k in found}
        for name, found in losses.items()
    }
    # Half a step of each part is the most that rounding adds.
    found = bought(lost, steps, BUDGETS + len(losses))
    first = sum(lost[name][k] for name, k in least.items())
    # Each budget that buys what no smaller one does.
    budgets = np.flatnonzero(np.diff(found.losses, prepend=first) < 0).tolist()
    return Frontier(
        [low, *(low + unit * budget for budget in budgets)],
        [first, *found.losses[budgets].tolist()],
        least,
        budgets,
        found,
    )
