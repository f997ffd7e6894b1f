"""FloatMultiply: the product of two tensors, value by value."""

from dataclasses import dataclass

from torch import Tensor

from qnn.frontend.ops.activated import (
    activated,
    activation_text,
    with_activation,
    without_function,
)
from qnn.frontend.ops.broadcast import spread_shape
from qnn.frontend.ops.operator import FloatOperator
from qnn.functions.elementwise import Elementwise
from qnn.functions.given import GivenQuantizer
from qnn.functions.table import is_never_negative
from qnn.ir.shape import Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class FloatMultiply(FloatOperator):
    """``clamp(one * other, low, high)``, each operand spread along its axes of size 1.

    With a function, its value of the product is the result instead, and there is no clamp.

    Fused, the first operand has the result's shape, and the second has it too, or a single channel,
    a single pixel or both. A square reads one tensor twice.
    """

    kind = "multiply"

    low: float | None = None
    high: float | None = None
    function: Elementwise | None = None
    given: GivenQuantizer | None = None

    @property
    def multiplies(self) -> bool:
        return True

    def never_negative(self, operands: bool) -> bool:
        # Of a square whatever its operand is.
        square = self.inputs[0] == self.inputs[1]
        product = square or operands
        if self.function is not None:
            return is_never_negative(self.function, of_negative=not product)
        return product or (self.low is not None and self.low >= 0)

    def activated_by(self, activation: FloatOperator) -> "FloatMultiply | None":
        return with_activation(self, activation)

    def unfused(self) -> tuple[FloatOperator, ...]:
        return without_function(self)

    def selected(self, channels: tuple[int, ...], inputs: tuple[str, ...]) -> "FloatMultiply":
        return self._fewer(channels, inputs)

    def output_shape(self, sources: tuple[Shape, ...]) -> Shape:
        return spread_shape(sources)

    def evaluate(self, one: Tensor, other: Tensor) -> Tensor:
        return activated(self, one * other)

    def details(self) -> list[str]:
        return activation_text(self)
