"""The epilogue: what turns a convolution's sums of products into its result, in shifts and adds."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from qnn.ir.arrays import array_text
from qnn.ir.reader import TextReader, written_name

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

    def parts(self, skip: str | None, full: bool) -> list[str]:
        """The words of text; ``skip`` is the name of the operand that is added, if there is one."""
        parts = [f"bias={array_text(self.bias, full)}"]
        if self.left.any():
            parts.append(f"left={array_text(self.left, full)}")
        if skip is not None:
            parts.append(f"+ {written_name(skip)}<<{array_text(self.skip_left, full)}")
        clamp = f"clamp {self.low}..{self.high}"
        if self.rounded:
            return [*parts, f">>{array_text(self.right, full)} {clamp}"]
        # Bounds of an unrounded result mean nothing, but a full text keeps every field.
        unusual = full and (self.low, self.high) != (0, 0)
        return [*parts, "unrounded", *[clamp] * unusual]

    @staticmethod
    def parse(reader: TextReader, outputs: int) -> "tuple[Epilogue[np.ndarray], str | None]":
        """The epilogue whose ``parts`` come next, and the name of the operand that it adds."""

        def channels(literal):
            return reader.array((outputs,), np.int64) if reader.has(literal) else zeros

        zeros = np.zeros(outputs, np.int64)
        reader.expect("bias=")
        bias, left = reader.array((outputs,), np.int64), channels("left=")
        skip = reader.name() if reader.has("+ ") else None
        if skip is not None:
            reader.expect("<<")
        skip_left = None if skip is None else reader.array((outputs,), np.int64)
        # What is not rounded has no right shift, so that none is written either.
        rounded = not reader.has("unrounded")
        if rounded:
            reader.expect(">>")
        right = reader.array((outputs,), np.int64) if rounded else zeros
        low = high = 0
        if reader.has("clamp "):
            low = reader.integer()
            reader.expect("..")
            high = reader.integer()
        epilogue = Epilogue(
            left=left,
            bias=bias,
            right=right,
            skip_left=skip_left,
            rounded=rounded,
            low=low,
            high=high,
        )
        return epilogue, skip
