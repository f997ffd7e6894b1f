"""ChannelGather: channels of a tensor, in any order and as often as wanted."""

from dataclasses import dataclass

from torch import Tensor

from qnn.frontend.ops.operator import FloatOperator, Gain, options
from qnn.functions.elementwise import Elementwise
from qnn.ir.shape import Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class ChannelGather(FloatOperator):
    """For each channel of the result, the operand's channel of the number in ``channels``."""

    kind = "gather"

    channels: tuple[int, ...]

    @property
    def shares_type(self) -> bool:
        return True

    @property
    def passes_factor(self) -> bool:
        return True

    def passes_clamp(self, low: float | None, high: float | None) -> bool:
        return True

    def passes_function(self, function: Elementwise) -> bool:
        return function.channels is None

    @property
    def order(self) -> tuple[int, ...]:
        return self.channels

    def moved(self, gains: tuple[Gain, ...]) -> Gain:
        return tuple(gains[0][channel] for channel in self.channels)

    def output_shape(self, sources: tuple[Shape, ...]) -> Shape:
        return len(self.channels), *sources[0][1:]

    def evaluate(self, x: Tensor) -> Tensor:
        return x[:, list(self.channels)]

    def details(self) -> list[str]:
        return options({"channels": self.channels}, {})
