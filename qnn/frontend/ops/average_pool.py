"""AveragePool: the mean, or another share of the sum, over each window of an image."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from qnn.frontend.ops.operator import FloatOperator
from qnn.frontend.ops.window import bordered, window_text, windowed
from qnn.ir.shape import Shape
from qnn.ir.window import Window


@dataclass(frozen=True, eq=False, kw_only=True)
class AveragePool(FloatOperator):
    """The sum over each window, padding with zeros, over ``divisor``."""

    kind = "averagepool"
    sums = True

    window: Window
    divisor: int

    def selected(self, channels: tuple[int, ...], inputs: tuple[str, ...]) -> "AveragePool":
        return self._fewer(channels, inputs)

    def output_shape(self, sources: tuple[Shape, ...]) -> Shape:
        return windowed(self.window, sources[0][0], sources[0])

    def evaluate(self, x: Tensor) -> Tensor:
        window = self.window
        x = bordered(x, window.padding)
        # The border is there already, so that its zeros count as they do in weights.
        return F.avg_pool2d(x, window.kernel, window.stride, divisor_override=self.divisor)

    def details(self) -> list[str]:
        return [*window_text(self.window), f"divisor={self.divisor}"]
