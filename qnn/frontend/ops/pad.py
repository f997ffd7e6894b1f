"""Pad: zeros around an image, and zero channels before and behind its own."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from qnn.frontend.ops.operator import FloatOperator, options
from qnn.ir.shape import Shape
from qnn.ir.window import Padding, Pair


@dataclass(frozen=True, eq=False, kw_only=True)
class Pad(FloatOperator):
    """Zeros around the image, and ``channels`` zero channels before and behind."""

    kind = "pad"

    padding: Padding
    channels: Pair = (0, 0)

    def passes_clamp(self, low: float | None, high: float | None) -> bool:
        return (low or 0) <= 0 <= (high or 0)  # which leaves its zeros as they are

    def selected(self, channels: tuple[int, ...], inputs: tuple[str, ...]) -> "Pad | None":
        # Zeros in place of channels are channels of no operand.
        return None if any(self.channels) else self._fewer(channels, inputs)

    def output_shape(self, sources: tuple[Shape, ...]) -> Shape:
        channels, height, width = sources[0]
        top, bottom, left, right = self.padding
        return channels + sum(self.channels), height + top + bottom, width + left + right

    def evaluate(self, x: Tensor) -> Tensor:
        top, bottom, left, right = self.padding
        # PyTorch counts from the last axis: width, height, then channels.
        return F.pad(x, (left, right, top, bottom, *self.channels))

    def details(self) -> list[str]:
        values = {"padding": self.padding, "channels": self.channels}
        return options(values, {"channels": (0, 0)})
