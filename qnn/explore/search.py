"""The search: designs are proposed, evaluated at once as many as there are workers, and kept."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from qnn.errors import ModelError
from qnn.explore.evaluate import fingerprint, profile_fingerprint
from qnn.explore.evaluation import Evaluated, Fidelity
from qnn.explore.front import front
from qnn.explore.methods.registry import Method
from qnn.explore.network import FloatNetwork, Formats
from qnn.explore.point import Point
from qnn.explore.profile import Profile, measure_profile
from qnn.explore.state import SearchState
from qnn.explore.store import MADE, Store
from qnn.farm.done import Done
from qnn.fields import FieldsError, typed
from qnn.interrupt import Interrupted

# A search by its rounded designs needs few of them; what is left makes the best in full.
SEARCHED = 0.6  # of the time
MEASURING = 0.1  # of the time, after which no further layer is measured in a whole design
DESIGNS = 12  # of a front that are made in full


Item = tuple[Point, Fidelity]
Run = Callable[[Sequence[Item]], Iterable[Done]]


@dataclass(frozen=True, kw_only=True)
class SearchLimits:
    """Where a search ends.

    Members
    -------
    seconds : of this run; None: no limit
    evaluations : designs that are known at the search's fidelity; None: no limit
    batch : designs that are evaluated at a time
    designs : of the front that are made in full
    """

    seconds: float | None = None
    evaluations: int | None = None
    batch: int = 2
    designs: int = DESIGNS


@dataclass(eq=False)
class FrontSearch:
    """A search under way.

    Members
    -------
    run : evaluates items, and tells of each as it ends
    asked : whether a signal has asked to stop
    report : is told each step in a line
    fidelity : by which designs are compared until the last ones are made in full
    """

    network: FloatNetwork
    state: SearchState
    method: Method
    store: Store
    run: Run
    limits: SearchLimits
    report: Callable[[str], None]
    asked: Callable[[], bool] = lambda: False
    fidelity: Fidelity = Fidelity.QUICK

    def __post_init__(self):
        self._begun = time.monotonic()
        self.computed = 0  # designs that this run has evaluated itself

    def result(self) -> list[Evaluated]:
        """The front: of what was made in full, or of what there is where nothing was.

        Raises
        ------
        Interrupted
            A signal asked to stop; the store has all that was found.
        """
        self._recall()
        for _ in self.batches():
            self._tell()
        return self._in_full()

    def batches(self) -> Iterator[int]:
        """Search, and give the number of designs that are known after each batch."""
        while not self._over(SEARCHED):
            wanted = self.limits.batch
            # Fewer at the end, so that two runs with one limit compare as many.
            if self.limits.evaluations is not None:
                wanted = min(wanted, self.limits.evaluations - len(self.state.known))
            if wanted < 1:
                break
            vectors = self.method(self.state, wanted)
            if not vectors:
                self.report("all designs of the space that the method knows are evaluated")
                break
            # Workers end in any order.
            points = {self.state.space.point(vector).key: vector for vector in vectors}
            for found in self._evaluated(
                [self.state.space.point(v) for v in vectors], self.fidelity
            ):
                self.state.known[points[found.point.key]] = found
            yield len(self.state.known)

    def mark(self, found: Evaluated) -> str:
        """The fingerprint of an evaluation of this search."""
        return self._fingerprint(found.point, found.fidelity)

    def _recall(self) -> None:
        """Take what the store knows of this space at this fidelity."""
        for mark, found in self.store.evaluations().items():
            if found.fidelity is not self.fidelity:
                continue
            vector = self.state.space.vector(found.point)
            if vector is not None and mark == self._fingerprint(found.point, self.fidelity):
                self.state.known[vector] = found
        if self.state.known:
            self.report(f"{len(self.state.known)} designs are known from {self.store.path}")

    def _in_full(self) -> list[Evaluated]:
        """Make the best designs in full, the front's first, while there is time."""
        left = list(self.state.known.values())
        made: list[Evaluated] = []
        while left and len(front(made, self.state.goals)) < self.limits.designs:
            # What is left when the front is made is the next front.
            best = front(left, self.state.goals)[: self.limits.designs]
            if not best or (made and self._over(1.0)):
                break
            keys = {each.point.key for each in best}
            left = [each for each in left if each.point.key not in keys]
            for start in range(0, len(best), self.limits.batch):
                part = [each.point for each in best[start : start + self.limits.batch]]
                # Of what is known already, nothing is computed.
                if made and self._over(1.0):
                    part = [p for p in part if self._stored(p, Fidelity.FULL) is not None]
                made += self._evaluated(part, Fidelity.FULL)
                # What can be picked, also where the search is interrupted before its end.
                self.store.keep_fact(MADE, [self.mark(each) for each in made])
                self._tell_full(made, len(best))
        # A design that loses more in full than it promised may leave the front.
        best = front(made, self.state.goals)
        return best or front(list(self.state.known.values()), self.state.goals)

    def _evaluated(self, points: Sequence[Point], fidelity: Fidelity) -> Iterator[Evaluated]:
        """Each of the points with its figures, as it ends, and on disk."""
        new = []
        for point in points:
            known = self._stored(point, fidelity)
            if known is not None:
                yield known
            else:
                new.append((point, fidelity))
        for done in self.run(new):
            point, _ = done.item
            if done.failure is not None:
                # Of a worker and not of the design: it is no result, and is tried again later.
                self.report(f"a design was not evaluated: {done.failure}")
                found = Evaluated(point, fidelity, failure=done.failure)
            else:
                found = done.result
                self.store.keep(self._fingerprint(point, fidelity), found)
                self.computed += 1
            if self.asked():
                known = len(self.store.evaluations())
                raise Interrupted(f"stopped; {self.store.path} has {known} evaluations")
            yield found

    def _stored(self, point: Point, fidelity: Fidelity) -> Evaluated | None:
        return self.store.get(self._fingerprint(point, fidelity))

    def _fingerprint(self, point: Point, fidelity: Fidelity) -> str:
        profile = self.state.profiles[point.weight_bits, point.activation_bits]
        return fingerprint(self.network, profile, point, fidelity)

    def _over(self, share: float) -> bool:
        spent = time.monotonic() - self._begun
        return self.limits.seconds is not None and spent > share * self.limits.seconds

    def _tell(self) -> None:
        known = self.state.known.values()
        kept = sum(self.state.goals.feasible(each) for each in known)
        self.report(
            f"{len(known)} designs, {kept} of them within all constraints, "
            f"{len(self.state.front())} on the front"
        )

    def _tell_full(self, made, count) -> None:
        self.report(f"{len(made)} designs made in full, of {count} on the front")


def profiles_of(
    network: FloatNetwork,
    formats: Sequence[Formats],
    store: Store,
    report: Callable[[str], None],
    seconds: float | None = None,
) -> dict[Formats, Profile]:
    """The profile of each pair of formats, from the store where it has it.

    Parameters
    ----------
    seconds : of the whole search
    """
    found: dict[Formats, Profile] = {}
    for each in formats:
        name = profile_fingerprint(network, each)
        kept = store.fact(name)
        if kept is None:
            until = None if seconds is None else time.monotonic() + MEASURING * seconds
            profile = measure_profile(
                network, each, report, lambda until=until: until is None or _before(until)
            )
            # Read back, so that a search that goes on predicts by the same numbers.
            store.keep_fact(name, profile.to_fields())
            kept = store.fact(name)
        try:
            found[each] = typed(Profile, kept)
        except FieldsError as error:
            raise ModelError(f"{store.path}: a profile cannot be read: {error}") from None
    return found


def _before(until: float) -> bool:
    return time.monotonic() < until
