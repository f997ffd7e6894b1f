"""Resample: each axis of an image times a matrix, as upsampling and padding by copies are."""

from dataclasses import dataclass

from torch import Tensor

from qnn.frontend.ops.operator import FloatOperator
from qnn.ir.shape import Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class Resample(FloatOperator):
    """``rows @ image @ columns.T`` for each channel.

    Members
    -------
    rows : (height of the result, height of the operand)
    columns : (width of the result, width of the operand)
    """

    kind = "resample"

    rows: Tensor
    columns: Tensor

    @property
    def selects(self) -> bool:
        """Whether each result is one value of the operand."""
        return all(
            bool(((m == 0) | (m == 1)).all() and (m.sum(1) == 1).all())
            for m in (self.rows, self.columns)
        )

    @property
    def passes_norm(self) -> bool:
        # A weighted mean of normalised values is the normalised mean.
        return all(bool(((m.sum(1) - 1).abs() < 1e-6).all()) for m in (self.rows, self.columns))

    def passes_clamp(self, low: float | None, high: float | None) -> bool:
        # What is selected is clamped as it was, and a mean of clamped values is another.
        return self.selects

    def never_negative(self, operands: bool) -> bool:
        return operands and all(bool((m >= 0).all()) for m in (self.rows, self.columns))

    def output_shape(self, sources: tuple[Shape, ...]) -> Shape:
        return sources[0][0], len(self.rows), len(self.columns)

    def evaluate(self, x: Tensor) -> Tensor:
        # Batch and channels lie before the image's axes, so that products are of images.
        return self.rows.to(x.dtype) @ x @ self.columns.to(x.dtype).T
