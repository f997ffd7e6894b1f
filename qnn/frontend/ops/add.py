"""Add: the sum of two tensors, value by value."""

from dataclasses import dataclass

from torch import Tensor

from qnn.frontend.ops.operator import FloatOperator
from qnn.ir.shape import Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class Add(FloatOperator):
    """The sum of two tensors of one shape."""

    kind = "add"

    def output_shape(self, sources: tuple[Shape, ...]) -> Shape:
        return sources[0]

    def evaluate(self, one: Tensor, other: Tensor) -> Tensor:
        # Shapes are equal: what broadcasts was refused when it was read.
        return one + other
