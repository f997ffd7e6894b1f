"""FloatInput: one of the tensors that the user gives, such as an image, vector or sequence."""

from dataclasses import dataclass

from torch import Tensor

from qnn.frontend.ops.operator import FloatOperator, options
from qnn.ir.shape import Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class FloatInput(FloatOperator):
    """What the network is run on.

    Members
    -------
    axes : of the user's tensor, as in ``qnn.ir.shape``; None: those of an image or a vector
    gain : what each channel is multiplied by before anything reads it; None: 1
    """

    kind = "input"

    axes: str | None = None
    gain: tuple[float, ...] | None = None

    def output_shape(self, sources: tuple[Shape, ...]) -> Shape:
        return self.shape

    def details(self) -> list[str]:
        return options({"axes": self.axes, "gain": self.gain}, {"axes": None, "gain": None})

    def scaled(self, x: Tensor) -> Tensor:
        """What the network reads, of blocks (batch, channels, height, width)."""
        if self.gain is None:
            return x
        return x * x.new_tensor(self.gain)[:, None, None]

    def evaluate(self, *operands: Tensor) -> Tensor:
        # The walk over a graph gives inputs their values itself.
        raise AssertionError(f"input '{self.name}' is given, not computed")
