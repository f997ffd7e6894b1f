"""FloatMaxPool: the maximum over each window of an image."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from qnn.frontend.ops.operator import FloatOperator
from qnn.frontend.ops.window import bordered, window_text, windowed
from qnn.functions.elementwise import Elementwise
from qnn.functions.table import is_rising
from qnn.ir.shape import Shape
from qnn.ir.window import Window


@dataclass(frozen=True, eq=False, kw_only=True)
class FloatMaxPool(FloatOperator):
    """The maximum over each window; padding never wins."""

    kind = "maxpool"
    sums = False  # so that parts of a window lose nothing, and have no weights

    window: Window

    @property
    def shares_type(self) -> bool:
        return True

    def passes_clamp(self, low: float | None, high: float | None) -> bool:
        return True

    def selected(self, channels: tuple[int, ...], inputs: tuple[str, ...]) -> "FloatMaxPool":
        return self._fewer(channels, inputs)

    def passes_function(self, function: Elementwise) -> bool:
        # Only then is the greatest value's result the greatest.
        return is_rising(function)

    def output_shape(self, sources: tuple[Shape, ...]) -> Shape:
        return windowed(self.window, sources[0][0], sources[0])

    def evaluate(self, x: Tensor) -> Tensor:
        window = self.window
        # Minus infinity never wins, also where all values are negative.
        x = bordered(x, window.padding, float("-inf"))
        return F.max_pool2d(x, window.kernel, window.stride, dilation=window.dilation)

    def details(self) -> list[str]:
        return window_text(self.window)
