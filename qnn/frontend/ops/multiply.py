"""FloatMultiply: the product of two tensors, value by value."""

from dataclasses import dataclass

from torch import Tensor

from qnn.frontend.ops.broadcast import spread_shape
from qnn.frontend.ops.clamp import clamped
from qnn.frontend.ops.operator import FloatOperator, options
from qnn.ir.shape import Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class FloatMultiply(FloatOperator):
    """``clamp(one * other, low, high)``, each spread along its axes of size 1.

    Fused, the first operand has the result's shape, and the second has it too or is a gate of
    (channels, 1, 1). A square reads one tensor twice.
    """

    kind = "multiply"

    low: float | None = None
    high: float | None = None

    @property
    def multiplies(self) -> bool:
        return True

    @property
    def takes_clamp(self) -> bool:
        return True

    def never_negative(self, operands: bool) -> bool:
        # Of a square whatever its operand is.
        square = self.inputs[0] == self.inputs[1]
        return square or operands or (self.low is not None and self.low >= 0)

    def selected(self, channels: tuple[int, ...], inputs: tuple[str, ...]) -> "FloatMultiply":
        return self._fewer(channels, inputs)

    def output_shape(self, sources: tuple[Shape, ...]) -> Shape:
        return spread_shape(sources)

    def evaluate(self, one: Tensor, other: Tensor) -> Tensor:
        return clamped(one * other, self.low, self.high)

    def details(self) -> list[str]:
        return options({"low": self.low, "high": self.high}, {"low": None, "high": None})
