"""The search for the cheapest design that loses no more than it may on images held out."""

import math
from dataclasses import dataclass, replace

from qnn.nn.learn import folded_copy, learnable
from qnn.nn.model import QuantizedModel
from qnn.ptq.auto.activations import Activations
from qnn.ptq.auto.builder import Builder, Sketch
from qnn.ptq.auto.cheapest import Assessed, Cheapest
from qnn.ptq.auto.designs import Designs
from qnn.ptq.auto.frontier import Frontier, frontier
from qnn.ptq.auto.held_out import Loss
from qnn.ptq.auto.measuring import Measuring
from qnn.ptq.auto.options import Auto, AutoResult
from qnn.ptq.auto.parts import Costs, Part
from qnn.ptq.auto.row_groups import RowGroups
from qnn.ptq.auto.row_shares import Shares
from qnn.ptq.auto.steps import Steps
from qnn.ptq.calibrated import Calibrated
from qnn.ptq.export import export
from qnn.ptq.formats import ChannelChoice, greatest
from qnn.ptq.plans import CLOSE_TERMS
from qnn.quant.term_budget import Losses

# A build of a DenseNet takes a quarter of the time: with three to begin from, one more would fit.
STARTS = 0.5  # of the time of a search, by which a further network to begin from has to be built
TOGETHER = 0.4  # of the time, after which no further layer is measured in a whole design
# Of the layers, that have to be measured in whole designs, or none is: of the 50 of an
# EfficientNet-Lite0 at 224, two took a seventh of the search, and said little of the others.
ENOUGH = 0.125


@dataclass(eq=False)
class Search:
    """A search under way.

    Members
    -------
    builder : makes and judges designs
    steps : tells of each that has just ended
    seconds : from the first step on, within which designs are tried
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
        self._took = 0.0  # seconds, the design that was built last
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

    def _late(self, share: float = 1.0) -> bool:
        """Whether a further design, if it takes as long as the last, would end too late."""
        return self.steps.spent + self._took > share * self.seconds

    def _was_late(self, what: str, share: float = 1.0) -> bool:
        """Whether there was too little time left for it, now or before an interruption."""
        return self.designs.note(f"{what} too late", lambda: self._late(share))

    def prepared(self, terms: ChannelChoice | None) -> Calibrated:
        """Of the calibrated networks the one whose answers are nearest with such terms, or one."""
        share, terms = (STARTS, 1) if terms is None else (1.0, terms)
        best, tried = "", dict[str, Loss]()
        for name, start in self.builder.starts.items():
            # One design there has to be.
            if tried and self._was_late(name, share):
                self.steps.say(f"{name}: not tried, there is too little time")
                break
            if any(start.network is self.builder.starts[each].network for each in tried):
                continue
            loss = tried[name] = self._loss(Sketch(name, terms))
            least = tried.get(best)
            kept = least is None or self._better(loss, least, start.enough(least, self.target))
            best = name if kept else best
            self.designs.best = Sketch(best, terms).key
            self.steps.say(f"{name}: loses {loss} {self.unit}{'' if kept else ', not kept'}")
        self.start = self.builder.starts[best].network
        # Of equal losses in the order of the starts, in every process.
        self._names = [best, *sorted((n for n in tried if n != best), key=lambda n: tried[n].lost)]
        return self.start

    def run(self, terms: ChannelChoice | None) -> tuple[QuantizedModel, AutoResult]:
        """The network with such terms, or with the cheapest that were found."""
        start = self.prepared(terms)
        one = start.build(1, "auto")
        # What no number of terms can take back.
        floor = self.builder.held.loss(folded_copy(one))
        self.steps.say(f"activations alone lose {floor} {self.unit}")
        costs = self._costs(start, one, 1 if terms is None else greatest(terms))
        design = self._cheapest(one, costs) if terms is None else Sketch(self._names[0], terms)
        # What loses no more than it may is left: of ResNet-20 of one term, learning by images that
        # it was trained on lost some tenths on those that it was not.
        if self._loss(design).lost > self.target:
            design = self._improved(design)
        loss, self.start = self._loss(design), self.builder.starts[design.start].network
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
        begun = self.steps.spent
        loss = self.builder.loss(design)
        assert loss is not None, design
        # As a note: after an interruption it is not built again.
        self._took = self.designs.note(f"{design.key} took", lambda: self.steps.spent - begun)
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
        first = Sketch(self._names[0], 1)
        tried = Assessed(0, first, self._loss(first))
        if tried.loss.lost <= self.target or not self.products:
            return first

        def say(what, loss):
            self.steps.say(f"{what}: loses {loss} {self.unit}")

        def best(design):
            self.designs.best = design.key

        # Only now: many networks need no more than one term.
        groups, designs = self._frontier(one, costs)
        return Cheapest(
            frontier=designs,
            groups=groups,
            starts=self._names,
            target=self.target,
            loss=self._loss,
            learning=self._learning,
            late=self._late,
            say=say,
            best=best,
        ).find(tried)

    def _frontier(self, one, costs) -> tuple[RowGroups, Frontier[Part]]:
        """What gets terms together, and the designs that should lose least for their cost."""
        measuring = Measuring(
            self.builder,
            self._names[0],
            one,
            self.steps.say,
            lambda: self.steps.spent < TOGETHER * self.seconds,
            self.designs.note("layers in whole designs", self._has_time_for_layers),
        )
        self.losses, self.shares = measuring.losses(), measuring.shares()
        graph = export(one)
        rows = getattr(self.options.costs, "rows", None)
        at_a_time = None if rows is None else self.designs.note("rows", lambda: rows(graph))
        groups = RowGroups.of(graph, self.losses, self.shares, at_a_time)
        return groups, frontier(groups.losses(self.losses, self.shares), groups.costs(costs))

    def _has_time_for_layers(self) -> bool:
        """Whether enough layers can be measured in whole designs, if one takes as the last did."""
        images = self.builder.images
        # Those designs are fitted to few images.
        took = self._took * len(images.few[0]) / len(images.fitted[0])
        left = TOGETHER * self.seconds - self.steps.spent
        # Beside the one that they are compared with.
        return left >= (1 + math.ceil(ENOUGH * len(self.products))) * took

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
