"""PixelShuffle: channels become pixels, a block of them for each pixel that there was."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from qnn.frontend.ops.operator import FloatOperator, options
from qnn.ir.shape import Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class PixelShuffle(FloatOperator):
    """Channel ``(c * factor + i) * factor + j`` is pixel (i, j) of each block of channel c."""

    kind = "pixelshuffle"

    factor: int

    def passes_clamp(self, low: float | None, high: float | None) -> bool:
        # Each result is one value of the operand.
        return True

    def output_shape(self, sources: tuple[Shape, ...]) -> Shape:
        channels, height, width = sources[0]
        return channels // self.factor**2, height * self.factor, width * self.factor

    def evaluate(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(x, self.factor)

    def details(self) -> list[str]:
        return options({"factor": self.factor}, {})
