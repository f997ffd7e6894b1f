"""Add: the sum of two tensors, value by value."""

from dataclasses import dataclass

from torch import Tensor

from qnn.frontend.ops.broadcast import spread_shape
from qnn.frontend.ops.operator import FloatOperator, options
from qnn.ir.shape import Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class Add(FloatOperator):
    """``one + alpha * other``, each spread along its axes of size 1."""

    kind = "add"

    alpha: float = 1.0

    @property
    def becomes_skip(self) -> bool:
        return True

    def never_negative(self, operands: bool) -> bool:
        return operands and self.alpha >= 0

    def selected(self, channels: tuple[int, ...], inputs: tuple[str, ...]) -> "Add":
        return self._fewer(channels, inputs)

    def output_shape(self, sources: tuple[Shape, ...]) -> Shape:
        return spread_shape(sources)

    def evaluate(self, one: Tensor, other: Tensor) -> Tensor:
        # In PyTorch's own order: a factor of 1 rounds nothing.
        return one + self.alpha * other if self.alpha != 1 else one + other

    def details(self) -> list[str]:
        return options({"alpha": self.alpha}, {"alpha": 1.0})
