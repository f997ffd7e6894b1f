"""A fused float graph with the formats that were asked for, before any data are seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from torch import Tensor

from qnn.frontend.graph import FloatGraph
from qnn.nn.preprocess import Pixels
from qnn.ptq.calibrate import INPUT_BITS
from qnn.ptq.calibrated import Calibrated, calibrated
from qnn.ptq.formats import Choice
from qnn.ptq.spread_pixels import spread_pixels
from qnn.quant.qtype import QType


@dataclass(frozen=True, eq=False)
class Uncalibrated:
    """What decides a calibrated network but for data.

    Members
    -------
    fused : the float graph
    pixels : what the pixels of each input stand for; None: it takes reals
    weight_bits, activation_bits : the formats
    kept_types : of tensors that need no choice, by name
    """

    fused: FloatGraph
    pixels: tuple[Pixels | None, ...]
    weight_bits: Choice
    activation_bits: int
    kept_types: Mapping[str, QType] = field(default_factory=dict)

    @cached_property
    def _spread(self):
        # An input of a type that is kept has its steps already.
        names = [source.name for source in self.fused.inputs]
        pixels = tuple(
            None if name in self.kept_types else each
            for name, each in zip(names, self.pixels, strict=True)
        )
        return spread_pixels(self.fused, pixels, max(self.activation_bits, INPUT_BITS))

    @property
    def graph(self) -> FloatGraph:
        """The graph whose inputs' integers tell all pixels apart."""
        return self._spread[0]

    def with_bits(self, activation_bits: int) -> "Uncalibrated":
        """The same with activations of so many bits."""
        return replace(self, activation_bits=activation_bits)

    def calibrate(
        self,
        batches: Sequence[tuple[Tensor, ...]],
        graph: FloatGraph | None = None,
        *,
        warn: bool = True,
    ) -> Calibrated:
        """The types of a graph's tensors on ``batches``, as ``calibrated`` gives them.

        Parameters
        ----------
        graph : that computes what this one does; None: this one
        """
        formats = (self.weight_bits, self.activation_bits)
        graph = self.graph if graph is None else graph
        given = {**self.kept_types, **self._spread[1]}
        return calibrated(graph, batches, self.pixels, formats, given, warn=warn)
