"""Extreme: the greater or the lesser of two tensors, value by value."""

from dataclasses import dataclass

import torch
from torch import Tensor

from qnn.frontend.ops.broadcast import spread_shape
from qnn.frontend.ops.operator import FloatOperator, options
from qnn.ir.shape import Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class Extreme(FloatOperator):
    """The maximum of two values, or with ``least`` the minimum, each spread as in a sum."""

    kind = "extreme"

    least: bool

    def output_shape(self, sources: tuple[Shape, ...]) -> Shape:
        return spread_shape(sources)

    def evaluate(self, one: Tensor, other: Tensor) -> Tensor:
        # NaN in either is one in the result, as everywhere in PyTorch.
        return torch.minimum(one, other) if self.least else torch.maximum(one, other)

    def details(self) -> list[str]:
        return options({"least": self.least}, {})
