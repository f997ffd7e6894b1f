"""The epilogue: what turns a convolution's sums of products into its result, in shifts and adds."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Array = TypeVar("Array")  # NumPy's in a graph, torch's in a model that may still learn


@dataclass(frozen=True, eq=False, kw_only=True)
class Epilogue(Generic[Array]):
    """The integers that finish a sum ``acc``, one entry for each output channel.

    ``v = (acc << left) + bias + (skip << skip_left)``. Rounded, the result is
    ``clamp((v + half) >> right, low, high)`` with ``half = 2**(right - 1)``, or 0 where ``right``
    is 0; unrounded, it is ``v`` itself.

    Members
    -------
    left, bias, right : (outputs,) int64
    skip_left : (outputs,) int64; None where no skip operand is added
    rounded : whether the result is shifted right and clamped
    low, high : bounds of the clamp, in the integers of the result's type; unrounded, of no effect
    """

    left: Array
    bias: Array
    right: Array
    skip_left: Array | None = None
    rounded: bool = True
    low: int = 0
    high: int = 0

    def map(self, function: Callable) -> "Epilogue":
        """The same epilogue with ``function`` applied to each of its arrays."""
        return Epilogue(
            left=function(self.left),
            bias=function(self.bias),
            right=function(self.right),
            skip_left=None if self.skip_left is None else function(self.skip_left),
            rounded=self.rounded,
            low=self.low,
            high=self.high,
        )
