"""FloatInterleave: pixels of several tensors side by side, each at its own offset and step."""

from dataclasses import dataclass

from torch import Tensor

from qnn.frontend.ops.operator import FloatOperator, options
from qnn.ir.exact import interleaved
from qnn.ir.ops.interleave import whole_size
from qnn.ir.shape import Shape
from qnn.ir.window import Pair


@dataclass(frozen=True, eq=False, kw_only=True)
class FloatInterleave(FloatOperator):
    """All operands on one grid: pixel (y, x) of operand k is ``offsets[k] + (y, x) * step``.

    Members
    -------
    step : rows and columns from pixel to pixel of an operand
    offsets : row and column of the first pixel of each operand
    """

    kind = "interleave"

    step: Pair
    offsets: tuple[Pair, ...]

    @property
    def shares_type(self) -> bool:
        # Values of all operands lie side by side in one tensor, which has one exponent.
        return True

    @property
    def interleaves(self) -> bool:
        return True

    def output_shape(self, sources: tuple[Shape, ...]) -> Shape:
        # Together they cover each pixel once, so that the last of them ends the image.
        sizes = tuple(size for _, *size in sources)
        return sources[0][0], *whole_size(self.step, self.offsets, sizes)

    def evaluate(self, *operands: Tensor) -> Tensor:
        # The same function as the integer graph's, as only places matter.
        return interleaved(operands, self.shape, self.step, self.offsets)

    def details(self) -> list[str]:
        return options({"step": self.step, "offsets": self.offsets}, {})
