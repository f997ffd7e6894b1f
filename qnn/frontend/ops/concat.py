"""FloatConcat: the channels of several tensors, one after the other."""

from dataclasses import dataclass

import torch
from torch import Tensor

from qnn.frontend.ops.operator import FloatOperator, Gain
from qnn.ir.shape import Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class FloatConcat(FloatOperator):
    """The channels of all operands in their order."""

    kind = "concat"

    @property
    def shares_type(self) -> bool:
        # Values of all operands lie side by side in one tensor, which has one exponent.
        return True

    @property
    def joins(self) -> bool:
        # Gathers behind it may read its operands apart.
        return True

    def moved(self, gains: tuple[Gain, ...]) -> Gain:
        return tuple(factor for gain in gains for factor in gain)

    def output_shape(self, sources: tuple[Shape, ...]) -> Shape:
        return sum(channels for channels, *_ in sources), *sources[0][1:]

    def evaluate(self, *operands: Tensor) -> Tensor:
        return torch.cat(operands, 1)
