"""Clamp: ReLU, ReLU6, Hardtanh and clamp, which bound each value by two numbers."""

from dataclasses import dataclass

from torch import Tensor

from qnn.frontend.ops.operator import FloatOperator, options
from qnn.functions.elementwise import IDENTITY, Elementwise, applied_to
from qnn.ir.shape import Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class Clamp(FloatOperator):
    """Each value, at least ``low`` and at most ``high``; None is no bound. ReLU has ``low`` 0."""

    kind = "clamp"

    low: float | None
    high: float | None

    @property
    def passes_factor(self) -> bool:
        # Only ReLU: relu(k x) = k relu(x) for k > 0, while other bounds would scale too.
        return self.low == 0 and self.high is None

    def moves_before(self, source: FloatOperator) -> bool:
        return source.passes_clamp(self.low, self.high)

    def selected(self, channels: tuple[int, ...], inputs: tuple[str, ...]) -> "Clamp":
        return self._fewer(channels, inputs)

    @property
    def as_function(self) -> Elementwise:
        return clamp_function(self.low, self.high)

    def output_shape(self, sources: tuple[Shape, ...]) -> Shape:
        return sources[0]

    def evaluate(self, x: Tensor) -> Tensor:
        return clamped(x, self.low, self.high)

    def details(self) -> list[str]:
        return options({"low": self.low, "high": self.high}, {"low": None, "high": None})


def clamped(x: Tensor, low: float | None, high: float | None) -> Tensor:
    """``x`` within the bounds that there are."""
    # torch's clamp refuses a call without any bound.
    return x if low is None and high is None else x.clamp(low, high)


def clamp_function(low: float | None, high: float | None) -> Elementwise:
    """The clamp as a function of one variable."""
    # A call without any bound is none.
    if low is None and high is None:
        return IDENTITY
    return applied_to("clamp.default", [IDENTITY, low, high])
