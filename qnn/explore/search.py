"""The search: designs are proposed, evaluated at once as many as there are workers, and kept."""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from qnn.explore.evaluate import fingerprint, rounding_fingerprint
from qnn.explore.evaluation import Evaluated, Fidelity, RoundedNetwork
from qnn.explore.front import front
from qnn.explore.methods.registry import Method
from qnn.explore.network import FloatNetwork
from qnn.explore.point import Point
from qnn.explore.state import SearchState
from qnn.explore.store import MADE, Store, altered
from qnn.farm.done import Done
from qnn.interrupt import Interrupted

# A search by its rounded designs needs few of them; what is left makes the best in full.
SEARCHED = 0.6  # of the time that the profile leaves
# A design that is nearly done is worth some more time, and no search is to hang on one that is not.
OVERRUN = 0.25  # of the time, after which designs that are still under way are given up
DESIGNS = 12  # of a front that are made in full


Item = tuple[Point, Fidelity, RoundedNetwork | None]
Run = Callable[..., Iterable[Done]]


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
    run : evaluates items, and tells of each as it ends; those that do not until the time of its
        keyword ``until`` are left out
    asked : whether a signal has asked to stop
    report : is told each step in a line
    fidelity : by which designs are compared until the last ones are made in full
    clock : seconds, as ``time.monotonic`` has them
    begun : when the run began, by the clock, whose time is limited; None: now
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
    clock: Callable[[], float] = time.monotonic
    begun: float | None = None

    def __post_init__(self):
        self._started = self.clock()
        self.out_of_time = False  # whether its time has ended it
        self.made: list[Evaluated] = []  # in full
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
        else:
            self.out_of_time = True

    @property
    def left_out(self) -> int:
        """How many designs of the front, as they were compared, were not made in full."""
        made = {each.point.key for each in self.made}
        best = front(list(self.state.known.values()), self.state.goals)
        return sum(each.point.key not in made for each in best)

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
                self.state.known[vector] = self._whole(found)
        if self.state.known:
            self.report(f"{len(self.state.known)} designs are known from {self.store.path}")

    @cached_property
    def _made_before(self) -> list[str]:
        """Marks of what earlier runs made in full of this space, and can be picked already."""
        known = self.store.evaluations()
        return [
            mark
            for mark in self.store.fact(MADE) or []
            if mark in known
            and self.state.space.vector(known[mark].point) is not None
            and self.mark(known[mark]) == mark
        ]

    def _in_full(self) -> list[Evaluated]:
        """Make the best designs in full, the front's first, while there is time."""
        left, made = list(self.state.known.values()), self.made
        while left and len(front(made, self.state.goals)) < self.limits.designs:
            # What is left when the front is made is the next front.
            best = front(left, self.state.goals)[: self.limits.designs]
            if not best:
                break
            keys = {each.point.key for each in best}
            left = [each for each in left if each.point.key not in keys]
            for start in range(0, len(best), self.limits.batch):
                part = [each.point for each in best[start : start + self.limits.batch]]
                self._make(part)
        # A design that loses more in full than it promised may leave the front.
        best = front(made, self.state.goals)
        return best or front(list(self.state.known.values()), self.state.goals)

    def _make(self, points: Sequence[Point]) -> None:
        """Make designs in full, those of them for which there is time."""
        before, computed = len(self.made), self.computed
        for each in self._evaluated(points, Fidelity.FULL):
            self.made.append(each)
            # What can be picked, also where the search is interrupted before its end.
            marks = dict.fromkeys([*self._made_before, *map(self.mark, self.made)])
            self.store.keep_fact(MADE, list(marks))
            # Of what the store knows there is nothing new to tell.
            if self.computed > computed:
                computed = self.computed
                self.report(f"designs made in full: {len(self.made)}")
        self.out_of_time |= len(self.made) - before < len(points)

    def _evaluated(self, points: Sequence[Point], fidelity: Fidelity) -> Iterator[Evaluated]:
        """Each of the points with its figures, as it ends, and on disk, while there is time."""
        new = []
        for point in points:
            known = self._stored(point, fidelity)
            if known is not None:
                yield known
            else:
                new.append(point)
        while new:
            wave, new = self._wave(new, fidelity)
            yield from self._computed(wave, fidelity)

    def _wave(self, points, fidelity) -> tuple[list[Point], list[Point]]:
        """The points to compute at once, and those to wait until what they share is rounded."""
        wave: list[Point] = []
        waiting: list[Point] = []
        begun: set[str] = set()
        for point in points:
            rounding = rounding_fingerprint(self.network, point, fidelity)
            (waiting if rounding in begun else wave).append(point)
            if rounding is not None and not self.store.has_rounded(rounding):
                begun.add(rounding)
        return wave, waiting

    def _computed(self, points, fidelity) -> Iterator[Evaluated]:
        share = 1.0 if fidelity is Fidelity.FULL else SEARCHED
        roundings = {
            point.key: rounding_fingerprint(self.network, point, fidelity) for point in points
        }
        # Read when a worker has time for it: graphs may be large.
        items = (
            (point, fidelity, self.store.rounded(roundings[point.key]))
            for point in itertools.takewhile(lambda _point: not self._over(share), points)
        )
        for done in self.run(items, until=self._last()):
            point = done.item[0]
            if done.failure is not None:
                # Of a worker and not of the design: it is no result, and is tried again later.
                self.report(f"a design was not evaluated: {done.failure}")
                found = Evaluated(point, fidelity, failure=done.failure)
            else:
                found = replace(done.result, rounded=None)
                mark = self._fingerprint(point, fidelity)
                self.store.keep(mark, done.result, roundings[point.key])
                self.computed += 1
            if self.asked():
                known = len(self.store.evaluations())
                raise Interrupted(f"stopped; {self.store.path} has {known} evaluations")
            yield found

    def _stored(self, point: Point, fidelity: Fidelity) -> Evaluated | None:
        found = self.store.get(self._fingerprint(point, fidelity))
        return None if found is None else self._whole(found)

    def _whole(self, found: Evaluated) -> Evaluated:
        """An evaluation of the store, which must have what designs are compared by."""
        if not found.has(self.state.goals.names):
            raise altered(self.store.path)
        return found

    def _fingerprint(self, point: Point, fidelity: Fidelity) -> str:
        profile = self.state.profiles[point.weight_bits, point.activation_bits]
        return fingerprint(self.network, profile, point, fidelity)

    def _over(self, share: float) -> bool:
        until = self._at(share)
        return until is not None and self.clock() >= until

    def _at(self, share: float) -> float | None:
        """When a share is spent of the time that the profile left."""
        if self.limits.seconds is None:
            return None
        spent = 0.0 if self.begun is None else self._started - self.begun
        # A profile may have taken more than there was.
        return self._started + share * max(0.0, self.limits.seconds - spent)

    def _last(self) -> float | None:
        """When designs that are still under way are given up."""
        end = self._at(1.0)
        return None if end is None else end + OVERRUN * (self.limits.seconds or 0.0)

    def _tell(self) -> None:
        known = self.state.known.values()
        kept = sum(self.state.goals.feasible(each) for each in known)
        self.report(
            f"{len(known)} designs, {kept} of them within all constraints, "
            f"{len(self.state.front())} on the front"
        )
