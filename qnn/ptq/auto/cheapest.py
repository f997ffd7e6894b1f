"""The cheapest design of a path that loses no more than it may: which ones are tried, in order."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from qnn.ptq.auto.builder import Sketch
from qnn.ptq.auto.frontier import Frontier
from qnn.ptq.auto.held_out import Loss
from qnn.ptq.auto.parts import Part
from qnn.ptq.auto.row_groups import RowGroups

PROBES = 8  # designs on the path that are tried, at most
NEAR = 1.05  # costs between which no further design is tried: learning may save as much
# Losses are estimates: a design is looked for that should lose a little less than it may.
MARGIN = 0.9
ASIDE = 0.25  # of the costs between two designs, by which a third one is away from either
SURELY = 0.4  # of the target, where there is no time to see whether a design reaches it
# Of the target: what loses no more may reach it from another network of the same values. Which one
# is nearest with one term says little of which is with more.
CLOSELY = 1.5
LEAST = 1e-3  # that a loss is taken to be, so that its logarithm is a number to reckon with
GAIN = 0.8  # what learning leaves of a loss, about
LEARNINGS = 3  # designs whose weights learn together, at most


@dataclass(frozen=True)
class OnPath:
    """A design of the path that was judged.

    Members
    -------
    step : its number on the path
    """

    step: int
    design: Sketch
    loss: Loss


@dataclass(frozen=True, eq=False)
class Cheapest:
    """A search along a path from one term everywhere to the most.

    Members
    -------
    path, groups : the designs, by terms of parts, the cheapest first; and the rows of each part
    starts : names of the networks that designs may be built from, the best with one term first
    target : that a design may lose
    loss : of a design whose weights need not learn together
    learning : of one whose weights do; None: there is no time for that
    late : whether no further design may be tried
    say : is told what each design loses: the design's cost, then its loss
    best : is told the cheapest design found so far that reaches the target
    """

    path: Frontier[Part]
    groups: RowGroups
    starts: Sequence[str]
    target: float
    loss: Callable[[Sketch], Loss]
    learning: Callable[[Sketch], Loss | None]
    late: Callable[[], bool]
    say: Callable[[str, Loss], None]
    best: Callable[[Sketch], None]

    def find(self, first: OnPath) -> Sketch:
        """The design; where none reaches the target, the one that loses least for its cost.

        Parameters
        ----------
        first : of one term everywhere, which misses the target
        """
        tried, low, high = [first], first, None
        for _ in range(PROBES):
            if self._is_narrow(low, high) or self.late():
                break
            # Bolder after each miss: where terms bring less than predicted, the way is long.
            found = self._probe(self._next(low, high, MARGIN ** len(tried)))
            tried.append(found)
            if found.loss.lost <= self.target:
                high = found
                self.best(found.design)
            else:
                low = found
        if high is not None:
            return self._learnt(tried, high)
        # Out of time, what is predicted has to do. Else nothing reaches the target, and more terms
        # than bring the least loss, but for chance, would be spent for nothing.
        if self.late() and not self._is_narrow(low, None):
            return self._at(self._next(low, None, SURELY), first.design.start)
        return _least_loss(tried).design

    def _is_narrow(self, low: OnPath, high: OnPath | None) -> bool:
        """Whether no design between them is worth a try."""
        if high is None:
            return low.step == len(self.path.costs) - 1
        near = self._cost(high.step) < NEAR * self._cost(low.step)
        return near or high.step - low.step < 2

    def _probe(self, step: int) -> OnPath:
        """The step's design from the network that reaches the target with it, or comes nearest."""
        found = None
        for name in self.starts:
            design = self._at(step, name)
            tried = OnPath(step, design, self.loss(design))
            more = "" if found is None else f", {name}"
            self.say(f"{self._cost_text(step)}{more}", tried.loss)
            if found is None or tried.loss.lost < found.loss.lost:
                found = tried
            if not self.target < found.loss.lost <= CLOSELY * self.target or self.late():
                break
        return found

    def _learnt(self, tried: Sequence[OnPath], high: OnPath) -> Sketch:
        """The cheapest design whose weights learn together, of those that missed; or ``high``'s."""
        chosen, first, gain = high, 0, GAIN
        for _ in range(LEARNINGS):
            between = [each for each in tried if first <= each.step < chosen.step]
            enough = [each for each in between if gain * each.loss.lost <= self.target]
            if not enough:
                break
            cheapest = min(enough, key=lambda each: each.step)
            design = replace(cheapest.design, learnt=True)
            found = self.learning(design)
            if found is None:
                break
            self.say(f"{self._cost_text(cheapest.step)}, all weights learn together", found)
            gain = max(found.lost, LEAST) / cheapest.loss.lost
            if found.lost <= self.target:
                chosen = OnPath(cheapest.step, design, found)
                self.best(design)
            else:
                first = cheapest.step + 1
        return chosen.design

    def _next(self, low: OnPath, high: OnPath | None, margin: float) -> int:
        """The step to try: the first that should lose no more than the target."""
        losses = self.path.losses
        if high is None:
            # In proportion to what is predicted.
            wanted = losses[low.step] * margin * self.target / low.loss.lost
            fitting = (k for k in range(low.step + 1, len(losses)) if losses[k] <= wanted)
            return next(fitting, len(losses) - 1)
        # Between what was found, as a power of what is predicted: either side is as good to know.
        floor = min(LEAST, self.target / 2)
        lost = [math.log(max(each.loss.lost, floor)) for each in (low, high)]
        share = (lost[0] - math.log(self.target)) / (lost[0] - lost[1])
        wanted = losses[low.step] ** (1 - share) * losses[high.step] ** share
        least, most = self._cost(low.step), self._cost(high.step)
        inner = [least + (most - least) * part for part in (ASIDE, 1 - ASIDE)]
        between = range(low.step + 1, high.step)
        fitting = (k for k in between if losses[k] <= wanted and self._cost(k) >= inner[0])
        step = next(fitting, high.step - 1)
        while step - 1 in between and self._cost(step) > inner[1]:
            step -= 1
        return step

    def _at(self, step: int, start: str) -> Sketch:
        return Sketch(start, self.groups.terms(self.path.terms(step)))

    def _cost(self, step: int) -> float:
        return self.path.costs[step]

    def _cost_text(self, step: int) -> str:
        return f"about {self._cost(step) / (self._cost(0) or 1.0):.2f} of the cost of one term"


def _least_loss(tried: Sequence[OnPath]) -> OnPath:
    """The first step of those tried whose loss is the least, within its standard error."""
    best = min((each.loss for each in tried), key=lambda loss: loss.lost)
    fitting = (each for each in tried if each.loss.lost <= best.lost + (best.error or 0.0))
    return min(fitting, key=lambda each: each.step)
