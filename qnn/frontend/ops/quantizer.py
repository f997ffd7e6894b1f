"""Quantizer: one that the network brings along, which rounds to whole steps of its own scale."""

from dataclasses import dataclass

from torch import Tensor

from qnn.frontend.ops.operator import FloatOperator, options
from qnn.functions.given import GivenQuantizer
from qnn.ir.shape import Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class Quantizer(FloatOperator):
    """Each value as ``given`` rounds it."""

    kind = "quantizer"

    given: GivenQuantizer

    def moves_before(self, source: FloatOperator) -> bool:
        # As any function: a maximum asks that it rises, which rounding and signs do.
        return source.passes_function(self.given.function)

    def computes_as(self, other: FloatOperator) -> bool:
        return isinstance(other, Quantizer) and self.given == other.given

    def selected(self, channels: tuple[int, ...], inputs: tuple[str, ...]) -> "Quantizer":
        return self._fewer(channels, inputs)

    def output_shape(self, sources: tuple[Shape, ...]) -> Shape:
        return sources[0]

    def never_negative(self, operands: bool) -> bool:
        # Rounding takes nothing that is not negative below 0, and 0 has the sign of 1.
        return operands or self.given.low >= 0

    def evaluate(self, x: Tensor) -> Tensor:
        return self.given(x)

    def details(self) -> list[str]:
        return options({"given": self.given}, {})
