"""FloatFunction: a function of one variable of each value, such as an activation."""

from dataclasses import dataclass, replace

from torch import Tensor

from qnn.frontend.ops.operator import FloatOperator, options
from qnn.functions.elementwise import Elementwise
from qnn.ir.shape import Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class FloatFunction(FloatOperator):
    """A function of each value, which a table computes behind a sum."""

    kind = "function"

    function: Elementwise

    @property
    def as_function(self) -> Elementwise:
        return self.function

    @property
    def is_curved(self) -> bool:
        return True

    def moves_before(self, source: FloatOperator) -> bool:
        return source.passes_function(self.function)

    def selected(self, channels: tuple[int, ...], inputs: tuple[str, ...]) -> "FloatFunction":
        return replace(self._fewer(channels, inputs), function=self.function.at(channels))

    # Each value has its own place.
    def output_shape(self, sources: tuple[Shape, ...]) -> Shape:
        return sources[0]

    def evaluate(self, x: Tensor) -> Tensor:
        # Of a comparison, 1 where it holds.
        return self.function(x)

    def details(self) -> list[str]:
        return options({"function": self.function}, {})
