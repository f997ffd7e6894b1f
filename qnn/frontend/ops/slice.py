"""Slice: every n-th row and column of an image."""

from dataclasses import dataclass

from torch import Tensor

from qnn.frontend.ops.operator import FloatOperator, options
from qnn.ir.shape import Shape
from qnn.ir.window import Pair


@dataclass(frozen=True, eq=False, kw_only=True)
class Slice(FloatOperator):
    """Every ``stride``-th row and column, from the first."""

    kind = "slice"

    stride: Pair

    def passes_clamp(self, low: float | None, high: float | None) -> bool:
        return True

    def output_shape(self, sources: tuple[Shape, ...]) -> Shape:
        channels, height, width = sources[0]
        down, right = self.stride
        # Rounded up: the first row and column are always taken.
        return channels, -(-height // down), -(-width // right)

    def evaluate(self, x: Tensor) -> Tensor:
        down, right = self.stride
        # A view: nothing is copied until a layer reads it.
        return x[:, :, ::down, ::right]

    def details(self) -> list[str]:
        return options({"stride": self.stride}, {})
