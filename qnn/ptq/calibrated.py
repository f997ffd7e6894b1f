"""A fused float graph with the types of its tensors: what quantized networks are built from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from qnn.frontend.graph import FloatGraph
from qnn.nn.model import QuantizedModel
from qnn.nn.preprocess import Pixels
from qnn.ptq.build import build
from qnn.ptq.calibrate import choose_types, observe
from qnn.ptq.chunks import chunks
from qnn.ptq.formats import ChannelChoice, Choice
from qnn.ptq.outliers import Peaks, outlying, warn_of_calibration
from qnn.ptq.plans import plan_of
from qnn.ptq.silence import silence
from qnn.ptq.split_lines import split_lines
from qnn.ptq.split_tables import split_tables
from qnn.quant.qtype import QType


@dataclass(frozen=True, eq=False)
class Calibrated:
    """What decides a quantized network but for its weights.

    Members
    -------
    graph : the fused float network
    types : of every tensor, by name, and of the index of each table
    pixels : what the pixels of each input stand for; None: it takes reals
    weight_bits, activation_bits : the formats
    outliers : numbers of images without which types are finer, in order
    """

    graph: FloatGraph
    types: Mapping[str, QType]
    pixels: tuple[Pixels | None, ...]
    weight_bits: Choice
    activation_bits: int
    outliers: tuple[int, ...] = ()

    def build(self, terms: ChannelChoice, rounding: str) -> QuantizedModel:
        """The network with its weights at their nearest codes, for ``rounding`` to begin with."""
        plan = plan_of(
            self.graph,
            self.types,
            self.pixels,
            self.weight_bits,
            self.activation_bits,
            terms,
            rounding,
        )
        return build(plan, self.graph, self.types)


def calibrated(
    graph: FloatGraph,
    batches: Sequence[tuple[Tensor, ...]],
    pixels: tuple[Pixels | None, ...],
    formats: tuple[Choice, int],
    given_types: Mapping[str, QType],
    *,
    warn: bool = True,
) -> Calibrated:
    """The types that lose least on ``batches``, of what each input of the fused ``graph`` takes.

    Parameters
    ----------
    formats : weight bits and activation bits
    given_types : of inputs that need no choice, by name
    warn : of images and operands that cost others their precision
    """
    weight_bits, activation_bits = formats
    peaks = Peaks()
    seen = observe(graph, chunks(batches), peaks)
    graph, seen = split_tables(silence(graph, seen), seen, activation_bits)
    graph, seen = split_lines(graph, seen, activation_bits, peaks)
    types = choose_types(graph, seen, activation_bits, _signs(graph, pixels), given_types)
    count = sum(len(batch[0]) for batch in batches)
    if warn:
        warn_of_calibration(graph, seen, peaks, types, count)
    outliers = outlying(seen, peaks, types, count)
    return Calibrated(graph, types, pixels, weight_bits, activation_bits, outliers)


def _signs(graph, pixels) -> dict[str, bool]:
    """Whether an input that takes pixels may be negative, by its name."""
    return {
        source.name: bool((stands_for.values() < 0).any())
        for source, stands_for in zip(graph.inputs, pixels, strict=True)
        if stands_for is not None
    }
