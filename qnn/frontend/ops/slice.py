"""Slice: rows and columns of an image, from a first one at equal distances."""

from dataclasses import dataclass

from torch import Tensor

from qnn.frontend.ops.operator import FloatOperator, options
from qnn.functions.elementwise import Elementwise
from qnn.ir.shape import Shape
from qnn.ir.window import Pair


@dataclass(frozen=True, eq=False, kw_only=True)
class Slice(FloatOperator):
    """Every ``stride``-th row and column from ``start``; ``size`` of them, or all that there are.

    Members
    -------
    stride, start, size : of rows and of columns; a size of None takes all
    """

    kind = "slice"

    stride: Pair = (1, 1)
    start: Pair = (0, 0)
    size: Pair | None = None

    def passes_clamp(self, low: float | None, high: float | None) -> bool:
        return True

    def selected(self, channels: tuple[int, ...], inputs: tuple[str, ...]) -> "Slice":
        return self._fewer(channels, inputs)

    def passes_function(self, function: Elementwise) -> bool:
        return True

    def output_shape(self, sources: tuple[Shape, ...]) -> Shape:
        channels, *sizes = sources[0]
        if self.size is not None:
            return channels, *self.size
        # Rounded up: the first row and column are always taken.
        steps = zip(sizes, self.start, self.stride, strict=True)
        return channels, *(-(-(size - start) // step) for size, start, step in steps)

    def evaluate(self, x: Tensor) -> Tensor:
        (down, right), (top, left) = self.stride, self.start
        _, height, width = self.shape
        # A view: nothing is copied until a layer reads it.
        return x[:, :, top::down, left::right][:, :, :height, :width]

    def details(self) -> list[str]:
        values = {"stride": self.stride, "start": self.start, "size": self.size}
        return options(values, {"start": (0, 0), "size": None})
