"""The best use of a mean of terms, when it is known what each layer loses with each number."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

# A table of so many float64 takes 1 MiB per layer and term, and an update well below a millisecond.
MOST_STEPS = 1 << 17  # of the budget; networks with more products are counted in larger units

Losses = Mapping[str, Mapping[int, float]]  # by layer and terms
Name = TypeVar("Name", bound=Hashable)  # of a layer, or of a part of one


def choose_terms(
    losses: Mapping[Name, Mapping[int, float]], products: Mapping[Name, int], mean_terms: float
) -> dict[Name, int]:
    """Terms of each layer with the least sum of losses under a mean of terms.

    Exact, by dynamic programming over the terms that are spent, as long as those are at most
    ``MOST_STEPS`` times what divides all products; beyond, spending is rounded up to such a share
    of the budget. Of equal sums, fewer terms win.

    Parameters
    ----------
    losses : by layer and terms
    products : by layer
    mean_terms : over all products, at most

    Raises
    ------
    ValueError
        The fewest terms of every layer together are more than the budget.
    """
    least = {name: min(found) for name, found in losses.items()}
    room = math.floor(
        # The factor forgives a mean like 1.6, which no binary number is.
        sum(products[name] * (mean_terms - terms) for name, terms in least.items()) * (1 + 1e-12)
    )
    if room < 0:
        raise ValueError(
            f"choose_terms needs mean_terms of at least the fewest that layers may have, not "
            f"{mean_terms}"
        )
    dearest = {name: min(found, key=lambda k, f=found: (f[k], k)) for name, found in losses.items()}
    if sum(products[name] * (terms - least[name]) for name, terms in dearest.items()) <= room:
        return dearest  # rounded spending could leave a layer out
    unit = max(math.gcd(*products.values()), -(-room // MOST_STEPS))
    # Rounded up: the budget is never exceeded, whatever the unit.
    steps = {
        name: {k: -(-(k - least[name]) * products[name] // unit) for k in found}
        for name, found in losses.items()
    }
    return bought(losses, steps, room // unit).terms(room // unit)


@dataclass(frozen=True, eq=False)
class Bought(Generic[Name]):
    """What each budget buys.

    Members
    -------
    losses : of all parts together, the least by budget
    """

    losses: np.ndarray
    _taken: Sequence[tuple[Name, Sequence[int], Sequence[int], np.ndarray]] = field(repr=False)

    def terms(self, budget: int) -> dict[Name, int]:
        """Terms of each part that lose least."""
        found = {}
        # Backwards through the tables, from the whole budget: each says what its part took.
        for name, options, steps, chosen in reversed(self._taken):
            which = int(chosen[budget])
            found[name] = options[which]
            budget -= steps[which]
        return {name: found[name] for name, *_ in self._taken}


def bought(
    losses: Mapping[Name, Mapping[int, float]], steps: Mapping[Name, Mapping[int, int]], most: int
) -> Bought[Name]:
    """The terms that lose least within each budget up to ``most``, by dynamic programming.

    Of equal sums, fewer terms win.

    Parameters
    ----------
    losses, steps : by part and terms: what is lost, and what part of the budget is spent
    """
    best, taken = np.zeros(most + 1), []
    for name, found in losses.items():
        options = sorted(found)
        spent = [steps[name][k] for k in options]
        table = np.stack(
            [_delayed(best + found[k], s) for k, s in zip(options, spent, strict=True)]
        )
        # Bytes: there may be thousands of parts, and a place for each step of the budget.
        taken.append((name, options, spent, table.argmin(0).astype(np.uint8)))
        best = table.min(0)
    return Bought(best, taken)


def _delayed(values: np.ndarray, steps: int) -> np.ndarray:
    """``values`` by budget, of budgets that are ``steps`` smaller: too small ones have infinity."""
    kept = values[: max(len(values) - steps, 0)]
    return np.concatenate([np.full(len(values) - len(kept), np.inf), kept])
