"""The search for the cheapest design that loses no more than it may on images held out."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from qnn.nn.learn import folded_copy, learnable
from qnn.nn.model import QuantizedModel
from qnn.ptq.auto.activations import Activations
from qnn.ptq.auto.builder import Builder, Sketch
from qnn.ptq.auto.designs import Designs
from qnn.ptq.auto.held_out import Loss
from qnn.ptq.auto.measuring import Measuring
from qnn.ptq.auto.options import Auto, AutoResult
from qnn.ptq.auto.path import Costs, Part, TermsPath, path_of
from qnn.ptq.auto.row_groups import RowGroups
from qnn.ptq.auto.row_shares import Shares
from qnn.ptq.auto.steps import Steps
from qnn.ptq.calibrated import Calibrated
from qnn.ptq.export import export
from qnn.ptq.formats import ChannelChoice, greatest
from qnn.ptq.plans import CLOSE_TERMS
from qnn.quant.term_budget import Losses

PROBES = 8  # designs on the path that are tried, at most
NEAR = 1.02  # costs between which no further design is tried
# Losses are estimates: a design is looked for that should lose a little less than it may.
MARGIN = 0.9
SURELY = 0.4  # of the target, where there is no time to see whether a design reaches it
LEAST = 1e-3  # that a loss is taken to be, so that loss over target is a number to reckon with
GAIN = 0.7  # what learning leaves of a loss, about
LEARNINGS = 3  # designs whose weights learn together, at most
TOGETHER = 0.4  # of the time, after which no further layer is measured in a whole design


@dataclass(eq=False)
class Search:
    """A search under way.

    Members
    -------
    builder : makes and judges designs
    steps : tells of each that has just ended
    seconds : from the first step on, after which no further design is tried
    learns : whether weights may learn together after they were rounded
    """

    builder: Builder
    options: Auto
    steps: Steps
    seconds: float
    learns: bool = True

    def __post_init__(self):
        self.losses: Losses = {}
        self.shares: Shares = {}
        self.start = self.plain  # what designs are built from
        one = self.plain.build(1, "auto")
        self.products = {name: conv.plan.products for name, conv in learnable(one)}
        self.builder.until = self.steps.begun + self.seconds

    @property
    def plain(self) -> Calibrated:
        return next(iter(self.builder.starts.values())).network

    @property
    def designs(self) -> Designs:
        return self.builder.designs

    @property
    def target(self) -> float:
        return self.options.target_for(self.builder.held.kinds)

    @property
    def unit(self) -> str:
        return self.builder.held.unit

    def _late(self) -> bool:
        return self.steps.spent > self.seconds

    def _was_late(self, what: str) -> bool:
        """Whether there was no time left for it, now or before an interruption."""
        return self.designs.note(f"{what} too late", self._late)

    def prepared(self, terms: ChannelChoice) -> Calibrated:
        """Of the calibrated networks the one whose answers are nearest with such terms.

        Where images are many, they are compared by designs that are fitted to few of them.
        """
        few = self.builder.images.many and len(self.builder.starts) > 1
        best, least, tried = "", None, []
        for name, start in self.builder.starts.items():
            # One design there has to be.
            if least is not None and self._was_late(name):
                self.steps.say(f"{name}: not tried, there is no time left")
                break
            if any(start.network is each for each in tried):
                continue
            tried.append(start.network)
            loss = self._loss(Sketch(name, terms, few=few))
            kept = least is None or self._better(loss, least, start.enough(least, self.target))
            if kept:
                best, least = name, loss
            self.designs.best = Sketch(best, terms, few=few).key
            self.steps.say(f"{name}: loses {loss} {self.unit}{'' if kept else ', not kept'}")
        self._name, self.start = best, self.builder.starts[best].network
        if few:
            loss = self._loss(Sketch(best, terms))
            self.steps.say(f"{best}, fitted to all of its images: loses {loss} {self.unit}")
        return self.start

    def run(self, terms: ChannelChoice | None) -> tuple[QuantizedModel, AutoResult]:
        """The network with such terms, or with the cheapest that were found."""
        start = self.prepared(1 if terms is None else terms)
        one = start.build(1, "auto")
        # What no number of terms can take back.
        floor = self.builder.held.loss(folded_copy(one))
        self.steps.say(f"activations alone lose {floor} {self.unit}")
        costs = self._costs(start, one, 1 if terms is None else greatest(terms))
        design = self._cheapest(one, costs) if terms is None else Sketch(self._name, terms)
        # What loses no more than it may is left: of ResNet-20 of one term, learning by images that
        # it was trained on lost some tenths on those that it was not.
        if self._loss(design).lost > self.target:
            design = self._improved(design)
        loss = self._loss(design)
        # Networks of the search are not kept, as many of a large one would not fit in memory. Where
        # images are few, those that have judged are worth more now that nothing is to be judged.
        more = self.builder.images.has_more and not self._was_late("all images")
        quantized = self.builder.build(design, whole=more) or self.builder.build(design)
        shares = {name: found[1].tolist() for name, found in self.shares.items()}
        relative = self._relative_cost(quantized, costs)
        chosen = quantized.plan.channel_terms
        activations = Activations(start.activation_bits, {start.activation_bits: floor})
        return quantized, AutoResult(
            chosen, loss, self.target, relative, self.losses, shares, activations
        )

    def _loss(self, design: Sketch) -> Loss:
        """What a design loses that needs no learning, or has learnt."""
        loss = self.builder.loss(design)
        assert loss is not None, design
        return loss

    def _improved(self, design: Sketch) -> Sketch:
        """The design with weights that learn together, if its answers then are nearer."""
        learnt = replace(design, learnt=True)
        loss = self._learning(learnt)
        if loss is None:
            return design
        better = self._better(loss, self._loss(design))
        if better:
            self.designs.best = learnt.key
        kept = "" if better else ", not kept"
        self.steps.say(f"all weights learn together: loses {loss} {self.unit}{kept}")
        return learnt if better else design

    def _better(self, loss: Loss, than: Loss, share: float = 1.0) -> bool:
        """Whether the target is reached that was missed, or answers are nearer, by such a share."""
        reached, before = loss.lost <= self.target, than.lost <= self.target
        return reached if reached != before else loss.distance < share * than.distance

    def _learning(self, design: Sketch) -> Loss | None:
        """What a design loses that learns; None: it may not, or there is too little time."""
        if not self.learns or not self.products:
            return None
        loss = None if self._late() else self.builder.loss(design)
        if loss is None:
            self.steps.say("weights do not learn together: there is too little time left")
        return loss

    def _cheapest(self, one, costs) -> Sketch:
        first = Sketch(self._name, 1)
        low, high = (0, self._loss(first)), None
        if low[1].lost <= self.target or not self.products:
            return first
        # Only now: many networks need no more than one term.
        groups, path = self._path(one, costs)

        def at(step, learnt=False):
            return Sketch(self._name, groups.terms(path.terms(step)), learnt)

        tried = [low]
        for _ in range(PROBES):
            top = len(path.more) if high is None else high[0]
            near = high is not None and path.costs[high[0]] < NEAR * path.costs[low[0]]
            if top - low[0] < (1 if high is None else 2) or near or self._late():
                break
            step = self._next(path, low, high, top)
            loss = self._loss(at(step))
            self.steps.say(f"{self._cost_at(path, step)}: loses {loss} {self.unit}")
            tried.append((step, loss))
            if loss.lost <= self.target:
                high = (step, loss)
                self.designs.best = at(step).key
            else:
                low = (step, loss)
        if high is not None:
            return self._learnt(path, at, low, high)
        # Out of time, what is predicted has to do. Else nothing reaches the target, and more terms
        # than bring the least loss, but for chance, would be spent for nothing.
        last = len(path.more)
        late = self._late() and low[0] < last
        return at(self._next(path, low, None, last, SURELY) if late else _least_loss(tried))

    def _learnt(self, path: TermsPath, at: Callable[..., Sketch], low, high) -> Sketch:
        """The cheapest design found whose weights learn together; or the one that need not.

        ``low`` and ``high`` are the steps next to each other of which one loses too much and the
        other one does not, with their losses.
        """

        def predicted(step: int) -> float:
            """What a design loses that does not learn, by the nearest one that was tried."""
            known, loss = low if step <= low[0] else high
            share = path.losses[step] / path.losses[known] if path.losses[known] else 1.0
            return max(loss.lost, LEAST) * share

        chosen, first, top, gain = at(high[0]), 0, high[0], GAIN
        for _ in range(LEARNINGS):
            enough = (k for k in range(first, top) if gain * predicted(k) <= MARGIN * self.target)
            step = next(enough, top)
            near = path.costs[top] < NEAR * path.costs[step]
            found = None if near else self._learning(at(step, learnt=True))
            if found is None:
                break
            cost = self._cost_at(path, step)
            self.steps.say(f"{cost}, all weights learn together: loses {found} {self.unit}")
            gain = max(found.lost, LEAST) / predicted(step)
            if found.lost <= self.target:
                chosen, top = at(step, learnt=True), step
                self.designs.best = chosen.key
            else:
                first = step + 1
        return chosen

    def _cost_at(self, path: TermsPath, step: int) -> str:
        return f"about {path.costs[step] / (path.costs[0] or 1.0):.2f} of the cost of one term"

    def _next(self, path: TermsPath, low, high, top, margin: float = MARGIN) -> int:
        """The step of the path to try: the first that should lose no more than the target."""
        # In proportion to what is predicted, from the nearest design that was tried.
        known = min(
            (each for each in (low, high) if each is not None),
            key=lambda each: abs(math.log(max(each[1].lost, LEAST) / self.target)),
        )
        wanted = path.losses[known[0]] * margin * self.target / max(known[1].lost, LEAST)
        last = top if high is None else top - 1
        fitting = (step for step in range(low[0] + 1, last + 1) if path.losses[step] <= wanted)
        return next(fitting, last)

    def _path(self, one, costs) -> tuple[RowGroups, TermsPath[Part]]:
        """What gets terms together, and in which order."""
        measuring = Measuring(
            self.builder,
            self._name,
            one,
            self.steps.say,
            lambda: self.steps.spent < TOGETHER * self.seconds,
        )
        self.losses, self.shares = measuring.losses(), measuring.shares()
        graph = export(one)
        rows = getattr(self.options.costs, "rows", None)
        at_a_time = None if rows is None else self.designs.note("rows", lambda: rows(graph))
        groups = RowGroups.of(graph, self.losses, self.shares, at_a_time)
        return groups, path_of(groups.losses(self.losses, self.shares), groups.costs(costs))

    def _relative_cost(self, quantized, costs) -> float:
        """What the layers of a design cost, over that of one term everywhere."""
        least = sum(costs[name][1] for name in self.products)
        if self.options.costs is None:
            convs = [conv.plan for _, conv in learnable(quantized)]
            spent = sum(plan.products * plan.mean_terms for plan in convs)
        else:
            found = self.options.costs(export(quantized))
            spent = sum(found.get(name, 0.0) for name in self.products)
        return spent / least if least else 1.0

    def _costs(self, start, one, most) -> Costs:
        """What each layer costs with all terms that it may get, or has: ``most``."""
        bits = [conv.plan.weight_bits for _, conv in learnable(one)]
        terms = range(1, max([most, *(CLOSE_TERMS[each] for each in bits)]) + 1)
        if self.options.costs is None:
            return {name: {k: float(n * k) for k in terms} for name, n in self.products.items()}

        def measured():
            return [dict(self.options.costs(export(start.build(k, "auto")))) for k in terms]

        found = self.designs.note("costs", measured)
        self.steps.say("costs of the layers found")
        return {
            name: {k: float(found[k - 1].get(name, 0.0)) for k in terms} for name in self.products
        }


def _least_loss(tried: Sequence[tuple[int, Loss]]) -> int:
    """The first step of those tried whose loss is the least, within its standard error."""
    best = min((loss for _, loss in tried), key=lambda loss: loss.lost)
    return min(step for step, loss in tried if loss.lost <= best.lost + (best.error or 0.0))
