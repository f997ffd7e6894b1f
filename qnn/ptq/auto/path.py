"""From one term everywhere to the most everywhere: what gets its next term first."""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from qnn.ptq.plans import CLOSE_TERMS
from qnn.quant.term_budget import Losses

# Each term of falling weight brings 11 dB and more, in squares.
NEXT_TERM = 12.0  # how many times less is lost with one more

Costs = Mapping[str, Mapping[int, float]]  # by layer and terms
Part = tuple[str, int]  # a layer, and the number of a group of its rows
Name = TypeVar("Name", str, Part)


@dataclass(frozen=True)
class TermsPath(Generic[Name]):
    """Terms of each layer, or of each part of one, ever more of them.

    Members
    -------
    first : terms of each at the beginning
    more : what gets one more term, in order
    losses, costs : of all after each number of steps
    """

    first: Mapping[Name, int]
    more: tuple[Name, ...]
    losses: Sequence[float]
    costs: Sequence[float]

    def terms(self, steps: int) -> dict[Name, int]:
        """Terms of each after so many steps of ``more``."""
        found = dict(self.first)
        for name in self.more[:steps]:
            found[name] += 1
        return found


def path_of(
    losses: Mapping[Name, Mapping[int, float]], costs: Mapping[Name, Mapping[int, float]]
) -> TermsPath[Name]:
    """The path on which each step takes off most of the loss for what it costs.

    Parameters
    ----------
    losses, costs : by layer, or part of one, and terms
    """
    first = {name: min(found) for name, found in losses.items()}
    terms, more, queue = dict(first), [], []

    def offer(name):
        """What a name has next to offer, the best first; several terms at once may be better."""
        now, options = terms[name], [k for k in losses[name] if k > terms[name]]
        if not options:
            return
        gains = {
            k: (losses[name][now] - losses[name][k]) / max(costs[name][k] - costs[name][now], 1e-9)
            for k in options
        }
        best = max(gains, key=lambda k: (gains[k], -k))
        heapq.heappush(queue, (-gains[best], name, best))

    for name in losses:
        offer(name)
    # An offer of a layer is made anew whenever one was taken, so that none is out of date.
    while queue:
        _, name, reached = heapq.heappop(queue)
        more += [name] * (reached - terms[name])
        terms[name] = reached
        offer(name)
    return TermsPath(first, tuple(more), _along(first, more, losses), _along(first, more, costs))


def _along(first, more, table) -> list[float]:
    """The sum over all names, after each number of steps."""
    terms, sums = dict(first), [float(sum(table[name][k] for name, k in first.items()))]
    for name in more:
        terms[name] += 1
        sums.append(sums[-1] + table[name][terms[name]] - table[name][terms[name] - 1])
    return sums


def extended(losses: Losses, bits: Mapping[str, int]) -> dict[str, dict[int, float]]:
    """Losses of more terms than were measured, each as much less as a term brings.

    ``bits`` has those of each layer's codes.
    """
    result = {}
    for name, found in losses.items():
        whole = dict(found)
        for terms in range(max(found) + 1, CLOSE_TERMS[bits[name]] + 1):
            whole[terms] = whole[terms - 1] / NEXT_TERM
        result[name] = whole
    return result
