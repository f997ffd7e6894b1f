"""The network that designs are made of, with its data: all that accuracy depends on."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from torch import Tensor, nn

from qnn.frontend.capture import capture
from qnn.frontend.fuse import fuse
from qnn.frontend.graph import FloatGraph
from qnn.frontend.run import blocks_of
from qnn.nn.preprocess import Statistic, checked_inputs
from qnn.ptq.auto.builder import Builder
from qnn.ptq.auto.designs import designs_at
from qnn.ptq.auto.held_out import HeldOut
from qnn.ptq.auto.near_images import calibrated_on_near
from qnn.ptq.auto.split import Split
from qnn.ptq.auto.starts import Start
from qnn.ptq.calibrated import Calibrated
from qnn.ptq.compare import TestSet
from qnn.ptq.data import Data, beside_labels, chosen_labels, reals
from qnn.ptq.labelled_values import labelled_values
from qnn.ptq.uncalibrated import Uncalibrated
from qnn.tasks.lost import OWN_ERROR

Formats = tuple[int, int]  # bits of a weight code and of an activation
START = "as it is"  # the name of the network whose channels are left as they are


@dataclass(frozen=True, eq=False)
class FloatNetwork:
    """A float network, training images, and test images.

    Members
    -------
    model : takes ``images``, or their reals where there are means
    images : (count, ...) of each input, that formats, weights and judgement come from
    mean, std : of pixels, as ``quantize`` takes them
    test : that the full fidelity is tested on
    labels : of the images, of the only output or of each in a tuple; None: there are none
    """

    model: nn.Module
    images: tuple[Tensor, ...]
    test: TestSet
    mean: Statistic | Sequence[Statistic] = None
    std: Statistic | Sequence[Statistic] = None
    labels: Tensor | tuple[Tensor | None, ...] | None = None
    _builders: dict[Formats, Builder] = field(default_factory=dict, init=False, repr=False)

    @property
    def given(self) -> Data:
        """The images as ``quantize`` takes them, beside their labels."""
        images = self.images if len(self.images) > 1 else self.images[0]
        return beside_labels(images, self.labels, slice(None))

    @cached_property
    def _pixels(self):
        return checked_inputs(self.mean, self.std, [x.shape[1] for x in self.images])

    @cached_property
    def _reals(self) -> tuple[Tensor, ...]:
        return tuple(map(reals, self.images, self._pixels))

    @cached_property
    def fused(self) -> FloatGraph:
        """The float graph that is quantized."""
        # By all images, as quantize does: what it captures may depend on their number.
        return fuse(capture(self.model, self._reals))

    @cached_property
    def float_accuracy(self) -> float | None:
        """The float network's percent of right answers on the test images.

        None where there are no labels, several outputs, or outputs that are no classes.
        """
        scores = self.test.scores(self.test.outputs(self.model))
        return scores[0].get("accuracy") if len(scores) == 1 else None

    def accuracy(self, quantized: nn.Module) -> float | None:
        """The percent of right answers of a quantized network on the test images, if it has one."""
        scores = self.test.scores(self.test.outputs(quantized))
        return scores[0].get("accuracy") if len(scores) == 1 else None

    @property
    def unit(self) -> str:
        """What is lost, as ``HeldOut`` has it."""
        classifies = any(kind.classifies for kind in self.test.kinds)
        return "points" if classifies else "%"

    def builder(self, formats: Formats) -> Builder:
        """What makes and judges networks of such formats."""
        if formats not in self._builders:
            self._builders[formats] = self._built(*formats)
        return self._builders[formats]

    def calibrated(self, formats: Formats) -> Calibrated:
        """The float network with the types of its tensors."""
        return self.builder(formats).starts[START].network

    def _built(self, weight_bits, activation_bits) -> Builder:
        network = Uncalibrated(self.fused, self._pixels, weight_bits, activation_bits)
        given = blocks_of(network.graph, self._reals)
        plain, numbers = calibrated_on_near(network, given)
        split = Split.of(given, numbers)
        values = labelled_values(network.graph, self.given, [given], self.test.kinds)
        wanted = chosen_labels(values, split.judges)
        held = HeldOut.of(plain.graph, split.held, self.test.kinds, wanted)
        # Nothing of it goes to disk: what was found of a point is in the store.
        with designs_at(None, {}) as designs:
            return Builder({START: Start(lambda: plain)}, split, held, designs)

    @cached_property
    def digest(self) -> str:
        """64 digits of all that accuracy depends on: the graph, its weights, and the data."""
        digest = hashlib.sha256()
        kinds = [kind.value for kind in self.test.kinds]
        for part in (str(self.fused), repr(self._pixels), repr(kinds)):
            digest.update(part.encode() + b"\0")
        # Test images too: the accuracy of the full fidelity is on them.
        arrays: list[Tensor | np.ndarray] = [*_parameters(self.fused), *self.images]
        arrays += [*self.test.inputs, *(y for y in self.test.labels if y is not None)]
        if not all(kind.classifies for kind in self.test.kinds):
            labels = chosen_labels(self.labels, slice(None))
            arrays += [np.array([y is not None for y in labels]), np.float64(OWN_ERROR)]
            arrays += [y for y in labels if y is not None]
        for array in arrays:
            held = np.ascontiguousarray(np.asarray(array))
            digest.update(f"{held.shape} {held.dtype}".encode())
            # Bytes of all kinds of numbers, without a copy.
            digest.update(held.reshape(-1).view(np.uint8).data)
        return digest.hexdigest()


def _parameters(graph: FloatGraph) -> Iterator[Tensor]:
    for conv in graph.convs:
        held = conv.batchnorm
        norm = () if held is None else (held.gamma, held.beta, held.mean, held.var)
        for part in (conv.weight, conv.bias, *norm):
            if part is not None:
                yield part.detach().cpu()
