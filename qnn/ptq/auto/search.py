"""The search for the cheapest design that loses no more than it may on images held out."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from qnn.nn.learn import folded_copy, learnable
from qnn.nn.model import QuantizedModel
from qnn.ptq.auto.designs import Designs
from qnn.ptq.auto.held_out import HeldOut, Loss
from qnn.ptq.auto.options import Auto, AutoResult
from qnn.ptq.auto.path import Costs, TermsPath, extended, path_of, trials
from qnn.ptq.calibrated import Calibrated
from qnn.ptq.export import export
from qnn.ptq.formats import greatest
from qnn.ptq.plans import CLOSE_TERMS
from qnn.ptq.round_layers import round_layers
from qnn.ptq.sensitivity import Losses, sensitivity

PROBES = 8  # designs on the path that are tried, at most
NEAR = 1.02  # costs between which no further design is tried
# Losses are estimates: a design is looked for that should lose a little less than it may.
MARGIN = 0.9
CLEARLY = 0.8  # of a distance: what is no better by chance, so that it is worth a change
LEAST = 1e-3  # that a loss is taken to be, so that loss over target is a number to reckon with
SENSITIVE = 256  # images that moments are taken from where layers are tried alone

Terms = int | Mapping[str, int]


@dataclass(eq=False)
class Search:
    """A search under way.

    Members
    -------
    starts : calibrated networks by what was done to them, the plain one first
    images : (count, ...) of each input, which weights are fitted to
    whole : those that the weights of the chosen design are fitted to at last
    held : images that decide
    rounded : whether layers are rounded in order, or to nearest
    """

    starts: Mapping[str, Calibrated]
    images: tuple[Tensor, ...]
    whole: tuple[Tensor, ...]
    held: HeldOut
    options: Auto
    designs: Designs
    rounded: bool = True

    def __post_init__(self):
        self._begun = self._told = time.monotonic()
        self.losses: Losses = {}
        self.start = self.plain  # what designs are built from
        one = self.plain.build(1, "auto")
        self.products = {name: conv.plan.products for name, conv in learnable(one)}
        self.seconds = self.options.seconds_for(sum(self.products.values()))

    @property
    def plain(self) -> Calibrated:
        return next(iter(self.starts.values()))

    @property
    def target(self) -> float:
        if self.options.target is not None:
            return self.options.target
        return 0.5 if all(kind.classifies for kind in self.held.kinds) else 2.0

    @property
    def unit(self) -> str:
        return "points" if any(kind.classifies for kind in self.held.kinds) else "%"

    def say(self, text: str) -> None:
        """Tell of a step that has just ended."""
        now = time.monotonic()
        self.options.report(f"{text} ({now - self._told:.1f} s)")
        self._told = now

    def _late(self) -> bool:
        return time.monotonic() - self._begun > self.seconds

    def prepared(self, terms: Terms) -> Calibrated:
        """Of the calibrated networks the one whose answers are nearest with such terms."""
        found, best = {}, next(iter(self.starts))
        for name in self.starts:
            found[name] = self.loss(name, terms)
            if found[name].distance < CLEARLY * found[best].distance:
                best = name
            self.designs.best = _key(best, terms)
        for name, loss in found.items():
            self.say(f"{name}: loses {loss} {self.unit}{', kept' if name == best else ''}")
        self._name, self.start = best, self.starts[best]
        return self.starts[best]

    def loss(self, name: str, terms: Terms) -> Loss:
        """What the design loses, from the start of such a name."""
        key = _key(name, terms)
        # After an interruption, designs that were judged before are not built again.
        if key not in self.designs.losses:
            self.designs.loss(key, self.held.loss(self.build(name, terms)))
        return self.designs.losses[key]

    def build(self, name: str, terms: Terms, *, whole: bool = False) -> QuantizedModel:
        """The design's network, with its weights rounded on few images, or on the whole of them."""
        start, key = self.starts[name], _key(name, terms) + " whole" * whole
        quantized = start.build(terms, "auto" if self.rounded else "nearest")
        if self.rounded:
            round_layers(
                quantized,
                start.graph,
                self.whole if whole else self.images,
                self.designs.layers.get(key, {}),
                lambda layer, chosen: self.designs.layer(key, layer, chosen),
            )
        return quantized

    def run(self, terms: Terms | None) -> tuple[QuantizedModel, AutoResult]:
        """The network with such terms, or with the cheapest that were found."""
        start = self.prepared(1 if terms is None else terms)
        one = start.build(1, "auto")
        # What no number of terms can take back.
        floor = self.held.loss(folded_copy(one))
        self.say(f"activations alone lose {floor} {self.unit}")
        costs = self._costs(start, one, 1 if terms is None else greatest(terms))
        if terms is None:
            terms = self._cheapest(one, costs)
        loss = self.loss(self._name, terms)
        # Networks of the search are not kept, as many of a large one would not fit in memory. Where
        # images are few, those that have judged are worth more now that nothing is to be judged.
        more = len(self.whole[0]) > len(self.images[0])
        quantized = self.build(self._name, terms, whole=more)
        chosen = quantized.plan.layer_terms
        cost = sum(costs[name][k] for name, k in chosen.items())
        least = sum(costs[name][1] for name in chosen)
        relative = cost / least if least else 1.0
        return quantized, AutoResult(chosen, loss, self.target, relative, self.losses)

    def _cheapest(self, one, costs) -> Terms:
        low, high = (0, self.loss(self._name, 1)), None
        if low[1].lost <= self.target or not self.products:
            return 1
        # Only now: many networks need no more than one term.
        self.losses = self._sensitivity(one)
        path = path_of(self.losses, costs)
        tried = [low]
        for _ in range(PROBES):
            top = len(path.more) if high is None else high[0]
            near = high is not None and path.cost(high[0]) < NEAR * path.cost(low[0])
            if top - low[0] < (1 if high is None else 2) or near or self._late():
                break
            step = self._next(path, low, high, top)
            loss = self.loss(self._name, path.terms(step))
            cost = path.cost(step) / (path.cost(0) or 1.0)
            self.say(f"{cost:.2f} of the cost of one term: loses {loss} {self.unit}")
            tried.append((step, loss))
            if loss.lost <= self.target:
                high = (step, loss)
                self.designs.best = _key(self._name, path.terms(step))
            else:
                low = (step, loss)
        if high is not None:
            return path.terms(high[0])
        # Out of time, most terms are the surest. Else nothing reaches the target, and more terms
        # than bring the least loss, but for chance, would be spent for nothing.
        return path.terms(len(path.more) if self._late() else _least_loss(tried))

    def _next(self, path: TermsPath, low, high, top) -> int:
        """The step of the path to try: the first that should lose no more than the target."""
        # In proportion to what is predicted, from the nearest design that was tried.
        known = min(
            (each for each in (low, high) if each is not None),
            key=lambda each: abs(math.log(max(each[1].lost, LEAST) / self.target)),
        )
        predicted = [self._predicted(path.terms(step)) for step in range(top + 1)]
        wanted = predicted[known[0]] * MARGIN * self.target / max(known[1].lost, LEAST)
        last = top if high is None else top - 1
        fitting = (step for step in range(low[0] + 1, last + 1) if predicted[step] <= wanted)
        return next(fitting, last)

    def _predicted(self, terms) -> float:
        return sum(self.losses[name][count] for name, count in terms.items())

    def _sensitivity(self, one) -> Losses:
        def measured():
            few = tuple(each[:SENSITIVE] for each in self.images)
            found = sensitivity(one, few, self.held.kinds, trials(one, self.start.graph, few))
            bits = {name: conv.plan.weight_bits for name, conv in learnable(one)}
            # JSON has texts as keys.
            return {
                name: {str(k): v for k, v in each.items()}
                for name, each in extended(found, bits).items()
            }

        found = self.designs.note("sensitivity", measured)
        self.say(f"sensitivity of {len(found)} layers measured")
        return {name: {int(k): v for k, v in each.items()} for name, each in found.items()}

    def _costs(self, start, one, most) -> Costs:
        """What each layer costs with all terms that it may get, or has: ``most``."""
        bits = [conv.plan.weight_bits for _, conv in learnable(one)]
        terms = range(1, max([most, *(CLOSE_TERMS[each] for each in bits)]) + 1)
        if self.options.costs is None:
            return {name: {k: float(n * k) for k in terms} for name, n in self.products.items()}

        def measured():
            return [dict(self.options.costs(export(start.build(k, "auto")))) for k in terms]

        found = self.designs.note("costs", measured)
        self.say("costs of the layers found")
        return {
            name: {k: float(found[k - 1].get(name, 0.0)) for k in terms} for name in self.products
        }


def _least_loss(tried: Sequence[tuple[int, Loss]]) -> int:
    """The first step of those tried whose loss is the least, within its standard error."""
    best = min((loss for _, loss in tried), key=lambda loss: loss.lost)
    return min(step for step, loss in tried if loss.lost <= best.lost + (best.error or 0.0))


def _key(name: str, terms: Terms) -> str:
    text = str(terms) if isinstance(terms, int) else repr(sorted(terms.items()))
    return f"{name} {text}"


def told(outcome: AutoResult, unit: str) -> Sequence[str]:
    """What was chosen, in lines."""
    by_terms: dict[int, list[str]] = {}
    for name, count in outcome.terms.items():
        by_terms.setdefault(count, []).append(name)
    usual = max(by_terms, key=lambda count: len(by_terms[count]), default=1)
    lines = [
        f"{count} term{'s' * (count > 1)}: "
        + ("all others" if count == usual and len(by_terms) > 1 else _listed(names, outcome, count))
        for count, names in sorted(by_terms.items(), reverse=True)
    ]
    lines.append(
        f"expected loss {outcome.loss} {unit} (target {outcome.target:g}), "
        f"{outcome.cost:.2f} times the cost of one term everywhere"
    )
    return lines


def _listed(names, outcome, count) -> str:
    """Layers with what they would lose alone with one term less."""
    shown = []
    for name in names:
        fewer = outcome.losses.get(name, {}).get(count - 1)
        shown.append(name if fewer is None else f"{name} (alone {fewer:.2g} with {count - 1})")
    return ", ".join(shown)
