"""What a search knows of layers and rows before it looks for a design, kept in its checkpoint."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch

from qnn.nn.learn import learnable
from qnn.nn.model import QuantizedModel
from qnn.ptq.auto.builder import Builder, Sketch
from qnn.ptq.auto.parts import extended
from qnn.ptq.auto.row_shares import Shares, row_shares
from qnn.ptq.auto.together import together
from qnn.ptq.auto.trials import trials
from qnn.ptq.sensitivity import sensitivity
from qnn.quant.term_budget import Losses

SENSITIVE = 256  # images that moments are taken from where layers are tried alone


@dataclass(eq=False)
class Measuring:
    """Measures of the layers of one calibrated network.

    Members
    -------
    builder : makes and judges designs
    name : of the calibrated network, among those of ``builder``
    one : its quantized network of one term, not rounded by any method yet
    say : is told of each step that has just ended
    has_time : whether a further design may be built
    whole : whether layers are measured in whole designs, too
    """

    builder: Builder
    name: str
    one: QuantizedModel
    say: Callable[[str], None]
    has_time: Callable[[], bool]
    whole: bool = True

    def __post_init__(self):
        images = self.builder.images.fitted
        # Of sums at few places, what is fitted to some images says little of those images.
        half = len(images[0]) // 2
        fitted = tuple(each[: min(half, SENSITIVE) or 1] for each in images)
        self._others = tuple(each[half:] for each in images)
        graph = self.builder.starts[self.name].network.graph
        self._trials = functools.cache(lambda: trials(self.one, graph, fitted))

    def losses(self) -> Losses:
        """By layer and terms, in whole designs as far as these are wanted and there is time."""
        alone = self._alone()
        self.say(f"sensitivity of {len(alone)} layers measured")
        if not self.whole:
            return alone
        before: list[str] = []

        def loss_without(name):
            terms = dict.fromkeys(alone, 2)
            whole = Sketch(self.name, dict(terms), few=True).key
            design = Sketch(self.name, terms if name is None else terms | {name: 1}, few=True)
            if design.key not in self.builder.designs.losses:
                if not self.has_time():
                    return None
                if name is not None:
                    self._as_before(whole, design.key, name)
            # Its layers are those of all others.
            self.builder.designs.best = whole
            before.append(design.key)
            loss = self.builder.loss(design)
            assert loss is not None, design
            return loss.distance

        found = together(alone, loss_without)
        # The first design is the one that the others are compared with.
        if len(before) > 1:
            self.say(f"{len(before) - 1} of these layers measured again, within whole designs")
        return found

    def _as_before(self, whole, key, name) -> None:
        """Give a design the layers of ``whole`` that run before the first one that differs."""
        layers = self.builder.designs.layers
        # Unless some more are chosen already, from before an interruption.
        if key in layers:
            return
        names = [layer for layer, _ in learnable(self.one)]
        known = layers.get(whole, {})
        layers[key] = {each: known[each] for each in names[: names.index(name)] if each in known}

    def _alone(self) -> Losses:
        def measured():
            found = sensitivity(self.one, self._others, self.builder.held.kinds, self._trials())
            bits = {name: conv.plan.weight_bits for name, conv in learnable(self.one)}
            # JSON has texts as keys.
            return {
                name: {str(k): v for k, v in each.items()}
                for name, each in extended(found, bits).items()
            }

        found = self.builder.designs.note("sensitivity", measured)
        return {name: {int(k): v for k, v in each.items()} for name, each in found.items()}

    def shares(self) -> Shares:
        """Of the rows of each layer."""

        def measured():
            found = row_shares(self.one, self._others, self.builder.held.kinds, self._trials())
            return {
                name: {str(k): v.tolist() for k, v in each.items()} for name, each in found.items()
            }

        found = self.builder.designs.note("shares", measured)
        rows = sum(len(each["1"]) for each in found.values())
        self.say(f"what each of the {rows} rows of their weights has of that loss measured")
        return {
            name: {int(k): torch.tensor(v, dtype=torch.float64) for k, v in each.items()}
            for name, each in found.items()
        }
