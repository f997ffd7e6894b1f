"""What is measured once of a network, so that the loss of any terms can be predicted."""

import itertools
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from random import Random
from typing import Any

from qnn.explore.network import START, FloatNetwork, Formats
from qnn.explore.point import Terms
from qnn.nn.learn import folded_copy, learnable
from qnn.ptq.auto.builder import Builder, Sketch
from qnn.ptq.auto.measuring import Measuring

UNIFORM = (1, 2, 3)  # terms of all layers, whose loss is measured
DRAWN = 4  # designs of mixed terms, by which the error of a prediction is known
WHOLE = len(UNIFORM) + DRAWN  # designs that are made and judged for a profile
Say = Callable[[str], None]


@dataclass(frozen=True)
class Anchor:
    """A design whose loss was measured, and the distance that is predicted of it.

    Members
    -------
    lost, error : points or percent on images held out, and their standard error
    """

    distance: float
    lost: float
    error: float


@dataclass(frozen=True)
class Profile:
    """What each layer loses, and what distances mean in accuracy.

    Members
    -------
    losses : by layer and terms (as text): how far answers move, as ``qnn.ptq.auto`` measures it
    shares : by layer, the share of each of its rows in that, with one term
    floor : the distance of rounded activations alone
    products : of each layer, for one image
    anchors : with the least distance first
    spread : root mean square of what predictions of mixed terms were off by, in points or percent
    """

    losses: Mapping[str, Mapping[str, float]]
    shares: Mapping[str, tuple[float, ...]]
    floor: float
    products: Mapping[str, int]
    anchors: tuple[Anchor, ...] = ()
    spread: float = 0.0

    def distance(self, terms: Mapping[str, Terms]) -> float:
        """How far answers should move with such terms."""
        return self.floor + sum(self._of_layer(name, terms[name]) for name in self.losses)

    def _of_layer(self, name, terms) -> float:
        found = self.losses[name]
        if isinstance(terms, int):
            return found[str(terms)]
        # A share is that with one term; what is left of it with more falls alike for all rows.
        rows = zip(self.shares[name], terms, strict=True)
        return sum(share * found[str(k)] for share, k in rows)

    def lost(self, terms: Mapping[str, Terms]) -> float:
        """What should be lost on images held out, by straight lines between the anchors.

        Losses never fall as distances grow, so that designs keep the order of their distances.
        """
        distance, anchors = self.distance(terms), self.anchors
        after = bisect_right([each.distance for each in anchors], distance)
        # Nearer than any anchor: on the line to a network that loses nothing.
        if after == 0:
            return anchors[0].lost * distance / max(anchors[0].distance, 1e-30)
        # Beyond the last anchor the last line goes on.
        low, high = anchors[max(0, after - 2)], anchors[after - 1]
        if after < len(anchors):
            low, high = anchors[after - 1], anchors[after]
        width = high.distance - low.distance
        slope = max(0.0, high.lost - low.lost) / width if width > 0 else 0.0
        return low.lost + slope * (distance - low.distance)

    def complete(self, terms: tuple[int, int]) -> bool:
        """Whether it tells of every layer with such terms, from the least to the most."""
        wanted = {str(k) for k in range(terms[0], terms[1] + 1)}
        layers = set(self.losses)
        return (
            layers == set(self.shares) == set(self.products)
            and all(wanted <= set(found) for found in self.losses.values())
            and bool(self.anchors)
        )

    def to_fields(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def measure_profile(
    network: FloatNetwork, formats: Formats, say: Say, has_time: Callable[[], bool]
) -> Profile:
    """Measure each layer, and some whole designs.

    Parameters
    ----------
    say : is told each step that has just ended
    has_time : whether another layer may be measured in a whole design, and not alone
    """
    builder = network.builder(formats)
    one = builder.starts[START].network.build(1, "auto")
    measuring = Measuring(builder, START, one, say, has_time)
    losses = {
        # JSON has texts as keys.
        name: {str(k): v for k, v in found.items()}
        for name, found in measuring.losses().items()
    }
    shares = {name: tuple(found[1].tolist()) for name, found in measuring.shares().items()}
    products = {name: conv.plan.products for name, conv in learnable(one)}
    measured = itertools.count(1)

    def anchor_of(terms) -> Anchor:
        found = _anchor(plain, builder, terms)
        say(f"{next(measured)} of {WHOLE} whole designs measured")
        return found

    plain = Profile(losses, shares, builder.held.loss(folded_copy(one)).distance, products)
    anchors = rising([anchor_of(dict.fromkeys(losses, k)) for k in UNIFORM])
    scaled = Profile(losses, shares, plain.floor, products, anchors)
    # Drawn by a fixed seed: a profile is a function of the network and its formats.
    random = Random(0)
    mixed = [{name: random.choice(UNIFORM) for name in losses} for _ in range(DRAWN)]
    found = [(scaled.lost(terms), anchor_of(terms)) for terms in mixed]
    off = sqrt(sum((lost - anchor.lost) ** 2 for lost, anchor in found) / DRAWN)
    say(f"predictions of {DRAWN} designs of mixed terms are off by {off:.2f} {network.unit}")
    return Profile(losses, shares, plain.floor, products, anchors, off)


def rising(anchors: Sequence[Anchor]) -> tuple[Anchor, ...]:
    """The anchors by distance, whose losses never fall: those that do are pooled."""
    pools: list[list[Anchor]] = []
    for anchor in sorted(anchors, key=lambda each: each.distance):
        pools.append([anchor])
        while len(pools) > 1 and _mean(pools[-2]) > _mean(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    return tuple(Anchor(each.distance, _mean(pool), each.error) for pool in pools for each in pool)


def _mean(pool):
    return sum(each.lost for each in pool) / len(pool)


def _anchor(profile: Profile, builder: Builder, terms) -> Anchor:
    loss = builder.loss(Sketch(START, terms, few=True))
    assert loss is not None  # such a design needs no time to learn
    return Anchor(profile.distance(terms), loss.lost, loss.error or 0.0)
