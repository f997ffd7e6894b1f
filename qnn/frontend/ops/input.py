"""FloatInput: one of the tensors that the user gives, an image or a vector."""

from dataclasses import dataclass

from torch import Tensor

from qnn.frontend.ops.operator import FloatOperator
from qnn.ir.shape import Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class FloatInput(FloatOperator):
    """What the network is run on."""

    kind = "input"

    def output_shape(self, sources: tuple[Shape, ...]) -> Shape:
        return self.shape

    def evaluate(self, *operands: Tensor) -> Tensor:
        # The walk over a graph gives inputs their values itself.
        raise AssertionError(f"input '{self.name}' is given, not computed")
