"""How large a product of two tensors can get, whatever the image, from their types."""

from dataclasses import dataclass

import numpy as np

from qnn.ir.epilogue import Epilogue
from qnn.ir.sums import Bounds
from qnn.quant.qtype import QType


@dataclass(frozen=True, eq=False, kw_only=True)
class Products:
    """The products of two tensors, value by value, and their epilogue: what ``Sums`` is to sums.

    Members
    -------
    result, one, other : types of the result and of the two operands
    """

    epilogue: Epilogue[np.ndarray]
    result: QType
    one: QType
    other: QType

    def bounds(self, name: str) -> Bounds:
        """The least and greatest values on the way to the result.

        The array brings the first operand as it is stored; products are of plain integers.
        """
        stored = (self.one.low - self.one.offset, self.one.high - self.one.offset)
        corners = self._corners()
        epilogue, results = self.epilogue, []
        for left, bias in zip(epilogue.left.tolist(), self.stored_bias(), strict=True):
            # The bias is added to the shifted product: each step is a value that must fit.
            results += [(corner << left) + step for corner in corners for step in (0, bias)]
        return Bounds(
            name,
            (min(*corners, *stored), max(*corners, *stored)),
            (min(results), max(results)),
            max(int(epilogue.left.max()), int(epilogue.right.max())),
        )

    def plain_bounds(self) -> tuple[int, int]:
        """Greatest magnitude of a product, and of the epilogue's sum, as the reference computes."""
        epilogue, reach = self.epilogue, max(map(abs, self._corners()))
        arrays = (epilogue.left, epilogue.bias, epilogue.right)
        # The half that rounding adds is of the last place that is shifted out.
        results = [
            (reach << left) + abs(bias) + (1 << right >> 1)
            for left, bias, right in zip(*(array.tolist() for array in arrays), strict=True)
        ]
        return reach, max(results)

    def stored_bias(self) -> list[int]:
        """Each channel's bias as the accelerator keeps it: rounding and storage offset folded in.

        Operands need no folding, since hardware multiplies plain integers.
        """
        epilogue, folded = self.epilogue, []
        offset = epilogue.offset(self.result)
        for bias, right in zip(epilogue.bias.tolist(), epilogue.right.tolist(), strict=True):
            # The result is stored less its offset, in units before the right shift.
            more = (1 << right >> 1) - (offset << right) if epilogue.rounded else 0
            folded.append(bias + more)
        return folded

    def _corners(self):
        """The products of the operands' extremes, among which are the least and the greatest."""
        ends = (self.other.low, self.other.high)
        return [one * other for one in (self.one.low, self.one.high) for other in ends]
