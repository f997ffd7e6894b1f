"""The network of a point and what it loses, at each fidelity."""

from dataclasses import dataclass
from math import sqrt

from qnn.explore.evaluation import Fidelity, Figure, Mark
from qnn.explore.network import START, FloatNetwork
from qnn.explore.point import Point
from qnn.explore.profile import Profile
from qnn.nn.model import QuantizedModel
from qnn.ptq.auto.builder import Sketch
from qnn.ptq.auto.options import Auto, AutoResult
from qnn.ptq.quantize import quantize

SURE = 2.0  # standard errors to both sides of a number, in which it lies 19 times of 20
# No design of a full fidelity learns: then nothing of it depends on the time that it has.
TARGET = 100.0  # of the command, that any design reaches


@dataclass(frozen=True, eq=False)
class MadeNetwork:
    """A quantized network and its figures; of the proxy it is for cycles alone."""

    quantized: QuantizedModel
    figures: dict[str, Figure]


def rounded(
    network: FloatNetwork, profile: Profile, point: Point, fidelity: Fidelity
) -> MadeNetwork:
    """The point's network, as far as the fidelity needs it."""
    make = {Fidelity.PROXY: _proxy, Fidelity.QUICK: _quick, Fidelity.FULL: _full}[fidelity]
    return make(network, profile, point)


def _proxy(network, profile, point) -> MadeNetwork:
    formats = (point.weight_bits, point.activation_bits)
    lost = Figure.about(
        profile.lost(point.terms), SURE * max(profile.spread, _least_error(profile)), Mark.ESTIMATED
    )
    # Only cycles are taken of it: rounding by data takes seconds, and moves few of them.
    quantized = network.calibrated(formats).build(dict(point.terms), "nearest")
    return MadeNetwork(quantized, _with_accuracy(network, lost))


def _least_error(profile):
    """Predictions stand on measurements, and are no surer than those."""
    return max((anchor.error for anchor in profile.anchors), default=0.0)


def _quick(network, _profile, point) -> MadeNetwork:
    builder = network.builder((point.weight_bits, point.activation_bits))
    sketch = Sketch(START, dict(point.terms), few=True)
    quantized = builder.build(sketch)
    assert quantized is not None  # such a design needs no time to learn
    loss = builder.held.loss(quantized)
    # Then it forgets the layers of the designs before, which would fill the memory.
    builder.designs.loss(sketch.key, loss)
    lost = Figure.about(loss.lost, SURE * (loss.error or 0.0), Mark.MEASURED)
    return MadeNetwork(quantized, _with_accuracy(network, lost))


def _full(network, _profile, point) -> MadeNetwork:
    outcomes: list[AutoResult] = []
    quantized = quantize(
        network.model,
        network.given,
        weight_bits=point.weight_bits,
        activation_bits=point.activation_bits,
        terms=dict(point.terms),
        mean=network.mean,
        std=network.std,
        task=[kind.value for kind in network.test.kinds],
        target=TARGET,
        auto=Auto(report=lambda _line: None, outcome=outcomes.append),
    )
    loss = outcomes[0].loss
    lost = Figure.about(loss.lost, SURE * (loss.error or 0.0), Mark.MEASURED)
    figures = _with_accuracy(network, lost)
    right = network.accuracy(quantized)
    if right is not None:
        # A binomial share; of all right answers, the next image may still be a wrong one.
        share, count = right / 100, len(network.test.inputs[0])
        error = 100 * SURE * sqrt(max(share * (1 - share), 1 / count) / count)
        figures["test_accuracy"] = Figure.about(right, error, Mark.MEASURED)
    return MadeNetwork(quantized, figures)


def _with_accuracy(network, lost: Figure) -> dict[str, Figure]:
    """What is lost, and what is then left of the float network's accuracy.

    The float network alone has met the test images, so that no search is led by them.
    """
    figures, right = {"lost": lost}, network.float_accuracy
    if right is not None:
        figures["accuracy"] = Figure(
            right - lost.value, right - lost.high, right - lost.low, Mark.ESTIMATED
        )
    return figures
