"""From one term everywhere to the most everywhere: what gets its next term first."""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class TermsPath:
    """Terms of each layer, or of each part of one, ever more of them.

    Members
    -------
    first : terms of each at the beginning
    more : what gets one more term, in order
    losses, costs : of all after each number of steps
    """

    first: Mapping[str, int]
    more: tuple[str, ...]
    losses: Sequence[float]
    costs: Sequence[float]

    def terms(self, steps: int) -> dict[str, int]:
        """Terms of each after so many steps of ``more``."""
        found = dict(self.first)
        for name in self.more[:steps]:
            found[name] += 1
        return found


def path_of(
    losses: Mapping[str, Mapping[int, float]], costs: Mapping[str, Mapping[int, float]]
) -> TermsPath:
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
