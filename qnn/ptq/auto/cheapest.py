"""The cheapest design that loses no more than it may: which ones are tried, in order."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from qnn.ptq.auto.builder import Sketch
from qnn.ptq.auto.frontier import Frontier
from qnn.ptq.auto.held_out import Loss
from qnn.ptq.auto.parts import Part
from qnn.ptq.auto.row_groups import RowGroups

PROBES = 8  # designs that are tried, at most
OTHERS = 4  # builds of them from other networks than the first, at most
# Of ResNet-8 two per cent were four more designs, each of which reached the target by chance.
NEAR = 1.05  # costs between which no further design is tried
# Losses are estimates: a design is looked for that should lose a little less than it may.
MARGIN = 0.9
ASIDE = 0.25  # of the costs between two designs, by which a third one is away from either
SURELY = 0.4  # of the target, where there is no time to see whether a design reaches it
# Of the target: what loses no more may reach it from another network of the same values. Which one
# is nearest with one term says little of which is with more.
CLOSELY = 1.5
NOTHING = 1e-3  # of the target, that a loss counts as at least, so that it has a logarithm
GAIN = 0.8  # what learning leaves of a loss, about
LEARNINGS = 3  # designs whose weights learn together, at most


@dataclass(frozen=True)
class Assessed:
    """A design that was judged.

    Members
    -------
    number : its place on the frontier
    """

    number: int
    design: Sketch
    loss: Loss


@dataclass(frozen=True, eq=False)
class Cheapest:
    """A search among the designs that should lose least for their cost.

    Members
    -------
    frontier : the designs, by terms of groups of rows
    groups : the rows of each group
    starts : names of the networks that designs may be built from, the best with one term first
    target : that a design may lose
    loss : of a design whose weights need not learn together
    learning : of one whose weights do; None: there is no time for that
    late : whether no further design may be tried
    say : is told what each design loses: the design's cost, then its loss
    best : is told the cheapest design found so far that reaches the target
    """

    frontier: Frontier[Part]
    groups: RowGroups
    starts: Sequence[str]
    target: float
    loss: Callable[[Sketch], Loss]
    learning: Callable[[Sketch], Loss | None]
    late: Callable[[], bool]
    say: Callable[[str, Loss], None]
    best: Callable[[Sketch], None]

    def find(self, first: Assessed) -> Sketch:
        """The design; where none reaches the target, the one that loses least for its cost.

        Parameters
        ----------
        first : of one term everywhere, which misses the target
        """
        tried, low, high, spare = [first], first, None, OTHERS
        for _ in range(PROBES):
            if self._is_narrow(low, high) or self.late():
                break
            if high is None:
                # Bolder after each miss: where terms bring less than predicted, the way is long.
                number = self._beyond(low, MARGIN ** len(tried))
            else:
                number = self._between(low, high)
            built = self._built(number, spare)
            spare -= len(built) - 1
            found = min(built, key=lambda each: each.loss.lost)
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
            return self._at(self._beyond(low, SURELY), first.design.start)
        return _least_loss(tried).design

    def _is_narrow(self, low: Assessed, high: Assessed | None) -> bool:
        """Whether no design between them is worth a try."""
        if high is None:
            return low.number == len(self.frontier.costs) - 1
        near = self._cost(high.number) < NEAR * self._cost(low.number)
        return near or high.number - low.number < 2

    def _built(self, number: int, spare: int) -> list[Assessed]:
        """The design from each network, until one reaches the target or is far from it.

        ``spare`` is how many others than the first may be built.
        """
        built: list[Assessed] = []
        for name in self.starts[: 1 + spare]:
            design = self._at(number, name)
            built.append(Assessed(number, design, self.loss(design)))
            more = f", {name}" if len(built) > 1 else ""
            self.say(f"{self._cost_text(number)}{more}", built[-1].loss)
            least = min(each.loss.lost for each in built)
            if not self.target < least <= CLOSELY * self.target or self.late():
                break
        return built

    def _learnt(self, tried: Sequence[Assessed], high: Assessed) -> Sketch:
        """The cheapest design whose weights learn together, of those that missed; or ``high``'s."""
        chosen, first, gain = high, 0, GAIN
        for _ in range(LEARNINGS):
            between = [each for each in tried if first <= each.number < chosen.number]
            enough = [each for each in between if gain * each.loss.lost <= self.target]
            if not enough:
                break
            cheapest = min(enough, key=lambda each: each.number)
            design = replace(cheapest.design, learnt=True)
            found = self.learning(design)
            if found is None:
                break
            what = f"{self._cost_text(cheapest.number)}, {design.start}, all weights learn together"
            self.say(what, found)
            gain = found.lost / cheapest.loss.lost
            if found.lost <= self.target:
                chosen = Assessed(cheapest.number, design, found)
                self.best(design)
            else:
                first = cheapest.number + 1
        return chosen.design

    def _beyond(self, low: Assessed, margin: float) -> int:
        """The first design that should lose no more than a ``margin`` of the target."""
        # In proportion to what is predicted.
        losses = self.frontier.losses
        wanted = losses[low.number] * margin * self.target / low.loss.lost
        fitting = (k for k in range(low.number + 1, len(losses)) if losses[k] <= wanted)
        return next(fitting, len(losses) - 1)

    def _between(self, low: Assessed, high: Assessed) -> int:
        """The first design that should lose the target, by what two others lose, aside of both."""
        # What is found goes as a power of what is predicted.
        losses, lost = self.frontier.losses, [self._log_lost(each) for each in (low, high)]
        fallen = lost[0] - lost[1]
        share = (lost[0] - math.log(self.target)) / fallen if fallen > 0 else 1.0
        wanted = losses[low.number] ** (1 - share) * losses[high.number] ** share
        least, most = self._cost(low.number), self._cost(high.number)
        inner = [least + (most - least) * part for part in (ASIDE, 1 - ASIDE)]
        between = range(low.number + 1, high.number)
        fitting = (k for k in between if losses[k] <= wanted and self._cost(k) >= inner[0])
        number = next(fitting, high.number - 1)
        while number - 1 in between and self._cost(number) > inner[1]:
            number -= 1
        return number

    def _log_lost(self, each: Assessed) -> float:
        return math.log(max(each.loss.lost, self.target * NOTHING))

    def _at(self, number: int, start: str) -> Sketch:
        return Sketch(start, self.groups.terms(self.frontier.terms(number)))

    def _cost(self, number: int) -> float:
        return self.frontier.costs[number]

    def _cost_text(self, number: int) -> str:
        return f"about {self._cost(number) / (self._cost(0) or 1.0):.2f} of the cost of one term"


def _least_loss(tried: Sequence[Assessed]) -> Assessed:
    """The first step of those tried whose loss is the least, within its standard error."""
    best = min((each.loss for each in tried), key=lambda loss: loss.lost)
    fitting = (each for each in tried if each.loss.lost <= best.lost + (best.error or 0.0))
    return min(fitting, key=lambda each: each.number)
