"""Terms of all parts of a network that should lose least, for each cost that they may have."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

from qnn.quant.term_budget import delayed

Name = TypeVar("Name", bound=Hashable)  # of a part

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
    _budgets: Sequence[int] = field(repr=False)
    _taken: Sequence["_Taken[Name]"] = field(repr=False)

    def terms(self, number: int) -> dict[Name, int]:
        """Terms of each part in a design."""
        if number == 0:
            return {part.name: part.terms[0] for part in self._taken}
        left, found = self._budgets[number], {}
        # Backwards through the tables: each says what its part took of what was left.
        for part in reversed(self._taken):
            which = int(part.chosen[left])
            found[part.name] = part.terms[which]
            left -= part.steps[which]
        return {part.name: found[part.name] for part in self._taken}


@dataclass(frozen=True, eq=False)
class _Taken(Generic[Name]):
    """Which of its ``terms``, that cost so many ``steps``, a part takes of each budget."""

    name: Name
    terms: Sequence[int]
    steps: Sequence[int]
    chosen: np.ndarray


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
    taken = []
    # Half a step of each part is the most that rounding adds.
    best = np.zeros(BUDGETS + len(losses) + 1)
    for name, found in losses.items():
        options = sorted(found)
        lost = [max(0.0, found[k]) for k in options]
        more = [costs[name][k] - costs[name][options[0]] for k in options]
        steps = [max(0, round(each / unit)) for each in more]
        pairs = zip(lost, steps, strict=True)
        table = np.stack([delayed(best + each, step) for each, step in pairs])
        # Bytes, as there may be hundreds of parts; of equal losses the fewest terms.
        taken.append(_Taken(name, options, steps, table.argmin(0).astype(np.uint8)))
        best = table.min(0)
    first = sum(max(0.0, losses[name][k]) for name, k in least.items())
    # Each budget that buys what no smaller one does.
    budgets = (np.flatnonzero(np.diff(best, prepend=first) < 0)).tolist()
    return Frontier(
        [low, *(low + unit * budget for budget in budgets)],
        [first, *best[budgets].tolist()],
        [0, *budgets],
        taken,
    )
