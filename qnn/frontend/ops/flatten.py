"""Flatten: an image as a vector."""

import math
from dataclasses import dataclass, replace

from torch import Tensor

from qnn.frontend.ops.operator import FloatOperator, Reordered
from qnn.functions.elementwise import Elementwise
from qnn.ir.shape import Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class Flatten(FloatOperator):
    """All values of the image, channel by channel and row by row."""

    kind = "flatten"

    @property
    def passes_factor(self) -> bool:
        return True

    def passes_clamp(self, low: float | None, high: float | None) -> bool:
        return True

    def unordered(self, order: tuple[int, ...], inputs: tuple[str, ...]) -> Reordered:
        # Each channel's pixels follow one another, in the vector too.
        area = self.shape[0] // len(order)
        places = tuple(channel * area + pixel for channel in order for pixel in range(area))
        return replace(self, inputs=inputs), places

    def passes_function(self, function: Elementwise) -> bool:
        # Channels are pixels behind it.
        return function.channels is None

    def output_shape(self, sources: tuple[Shape, ...]) -> Shape:
        # Channels first, then rows: the order in which PyTorch lays an image out.
        return math.prod(sources[0]), 1, 1

    def evaluate(self, x: Tensor) -> Tensor:
        # A vector is an image of one pixel, so that linear layers are convolutions.
        return x.reshape(len(x), -1, 1, 1)
