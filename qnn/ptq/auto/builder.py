"""Designs of a network are built and judged: what a search knows of each, and how it is made."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from qnn.nn.learn import learnable
from qnn.nn.model import QuantizedModel
from qnn.ptq.auto.designs import Designs
from qnn.ptq.auto.held_out import HeldOut, Loss
from qnn.ptq.auto.learn import learn
from qnn.ptq.auto.split import Split
from qnn.ptq.auto.starts import Start
from qnn.ptq.formats import ChannelChoice
from qnn.ptq.round_layers import FittedLayer, round_layers, settle
from qnn.quant.rounding import Progress


@dataclass(frozen=True)
class Sketch:
    """A design on paper: one way to quantize the network.

    Members
    -------
    start : the name of the calibrated network that it is built from
    terms : of each layer
    learnt : whether all weights learn together after they were rounded
    few : whether weights are fitted to few images, to be compared with others that are too
    """

    start: str
    terms: ChannelChoice
    learnt: bool = False
    few: bool = False

    @property
    def key(self) -> str:
        """Another one for another design."""
        terms = self.terms
        text = str(terms) if isinstance(terms, int) else repr(sorted(terms.items()))
        return f"{self.start} {text}" + " learnt" * self.learnt + " few" * self.few


@dataclass(eq=False)
class Builder:
    """What builds designs.

    Members
    -------
    starts : networks to build from, by what was done to them, the plain one first
    images : by what they are for
    held : those that judge, with the float network's answers
    designs : what is known already
    rounded : whether layers are rounded in order, or to nearest
    progress : told layers, then steps of learning, done and in all, and what is rounded of weights
    until : when learning has to end, in seconds of ``time.monotonic``
    """

    starts: Mapping[str, Start]
    images: Split
    held: HeldOut
    designs: Designs
    rounded: bool = True
    progress: Progress = lambda *_: None
    until: float = math.inf

    def loss(self, design: Sketch) -> Loss | None:
        """What the design loses on images held out; None: there is no time for it to learn."""
        # After an interruption, designs that were judged before are not built again.
        if design.key not in self.designs.losses:
            quantized = self.build(design)
            if quantized is None:
                return None
            self.designs.loss(design.key, self.held.loss(quantized))
        return self.designs.losses[design.key]

    def build(self, design: Sketch, *, whole: bool = False) -> QuantizedModel | None:
        """The design's network, with its weights rounded on few images, or on the whole of them.

        None where there is no time for it to learn.
        """
        start = self.starts[design.start].network
        if not self.rounded:
            return start.build(design.terms, "nearest")
        return self._learnt(design, whole) if design.learnt else self._rounded(design, whole)

    def _rounded(self, design, whole):
        start, key = self.starts[design.start].network, _kept_as(design, whole)
        quantized = start.build(design.terms, "auto")
        fitted = self.images.few if design.few else self.images.fitted
        weights = {name: conv.weight.numel() for name, conv in learnable(quantized)}
        rounded: list[int] = []

        def keep(layer, chosen):
            self.designs.layer(key, layer, chosen)
            rounded.append(weights[layer])
            self.progress(len(rounded), len(weights), sum(rounded) / sum(weights.values()))

        round_layers(
            quantized,
            start.graph,
            self.images.whole if whole else fitted,
            self.designs.layers.get(key, {}),
            keep,
        )
        return quantized

    def _learnt(self, design, whole):
        start, key = self.starts[design.start].network, _kept_as(design, whole)
        chosen = self.designs.layers.get(key)
        # Unless it was learnt before an interruption.
        if chosen is None:
            # What was left out for want of time is not there in a search that goes on, either.
            late = f"{key} too late"
            if late in self.designs.notes:
                return None
            quantized = self._rounded(replace(design, learnt=False), whole)
            images = self.images.whole if whole else self.images.lessons
            left, kept = self.until - time.monotonic(), self.designs.beside(key)
            if not learn(quantized, start, images, self.held.kinds, left, kept, self.progress):
                self.designs.note(late, lambda: True)
                return None
            chosen = {
                name: FittedLayer(conv.indices(), conv.weight_exponent.clone(), conv.folded_bias())
                for name, conv in learnable(quantized)
            }
            self.designs.whole(key, chosen)
        # Also where it has just been learnt: what comes out is the same after an interruption.
        quantized = start.build(design.terms, "auto")
        for name, conv in learnable(quantized):
            settle(conv, chosen[name])
        return quantized


def _kept_as(design, whole):
    return design.key + " whole" * whole
