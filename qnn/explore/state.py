"""What a method of search knows when it proposes designs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import log
from random import Random

from qnn.explore.energy import lane_toggles
from qnn.explore.evaluation import Evaluated
from qnn.explore.front import front
from qnn.explore.goals import METRICS, Goals
from qnn.explore.network import Formats
from qnn.explore.profile import Profile
from qnn.explore.space import Space, Vector


@dataclass(eq=False)
class SearchState:
    """A search as it stands; all that is random follows from the seed and from what is known.

    Members
    -------
    profiles : by formats
    known : designs of the space that were evaluated, in the order in which they were
    """

    space: Space
    goals: Goals
    profiles: Mapping[Formats, Profile]
    seed: int = 0
    known: dict[Vector, Evaluated] = field(default_factory=dict)

    @property
    def profile(self) -> Profile:
        """Of the first formats, by which layers are grouped."""
        return next(iter(self.profiles.values()))

    @property
    def usable(self) -> dict[Vector, Evaluated]:
        """The known designs that did not fail, in one order whichever worker ended first."""
        return {v: self.known[v] for v in sorted(self.known) if self.known[v].failure is None}

    def random(self) -> Random:
        """A generator that is another one whenever more is known."""
        # A text as seed: a tuple is none, and a sum would mix up two searches.
        return Random(f"{self.seed} {len(self.known)}")

    def new(self, vectors: Iterable[Vector], count: int) -> list[Vector]:
        """The first ``count`` of the vectors that are not known, each once."""
        found: dict[Vector, None] = {}
        for vector in vectors:
            if len(found) == count:
                break
            if vector not in self.known:
                found[vector] = None
        return list(found)

    def drawn(self, random: Random, count: int) -> list[Vector]:
        """Random designs that are not known; fewer where hardly any are left."""
        # Of a space with a few designs left, most draws are known ones.
        tries = 50 * count + 200
        return self.new((self.space.sample(random) for _ in range(tries)), count)

    def front(self) -> list[Vector]:
        """The designs that no other known one dominates."""
        vectors = {each.point.key: vector for vector, each in self.known.items()}
        return [vectors[each.point.key] for each in front(list(self.known.values()), self.goals)]

    def predicted(self, vector: Vector, metric: str) -> float:
        """The utility of a metric as far as sensitivities and counts of products tell.

        Of cells it is exact. What it leaves out of cycles is how busy the array is, and of energy
        the memory: these a method has to learn.
        """
        space, point = self.space, self.space.point(vector)
        if METRICS[metric].exact:
            return METRICS[metric].utility(space.cells(vector)[metric].value)
        profile = self.profiles[point.weight_bits, point.activation_bits]
        if metric in ("lost", "accuracy"):
            return -profile.lost(point.terms)
        steps = sum(profile.products[name] * terms for name, terms in point.terms.items())
        if metric == "energy":
            return -log(steps * lane_toggles(point.weight_bits, point.activation_bits))
        return -log(steps / space.lanes(vector))
