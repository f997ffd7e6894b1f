"""The epilogue: what turns a convolution's sums of products into its result, in shifts and adds."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

from qnn.ir.arrays import array_text
from qnn.ir.reader import TextReader, written_name
from qnn.quant.qtype import QType

Array = TypeVar("Array")  # NumPy's in a graph, torch's in a model that may still learn
# Finer steps than 12 bits change no activation of 16 bits by more than its neighbours differ where
# a function is smooth, and a table of 4,096 entries fills what a block RAM of a row holds.
INDEX_BITS = 12


@dataclass(frozen=True, eq=False, kw_only=True)
class Epilogue(Generic[Array]):
    """The integers that finish a sum ``acc``, one entry for each output channel.

    ``v = (acc << left) + bias + (skip << skip_left)``. Rounded, the result is
    ``i = clamp((v + half) >> right, low, high)`` with ``half = 2**(right - 1)``, or 0 where
    ``right`` is 0; unrounded, it is ``v`` itself. With a table, ``i`` is an index, and the result
    is the channel's entry number ``i - low``: any function of one variable.

    Members
    -------
    left, bias, right : (outputs,) int64
    skip_left : (outputs,) int64; None where no skip operand is added
    rounded : whether the result is shifted right and clamped
    low, high : bounds of the clamp, in the integers of the result's type; unrounded, of no effect;
        with a table, bounds of the index, in signed integers of ``INDEX_BITS``
    table : (1 or outputs, high - low + 1) int64, one for all channels or one for each, whose
        entries are integers of the result's type; None where the index is the result
    """

    left: Array
    bias: Array
    right: Array
    skip_left: Array | None = None
    rounded: bool = True
    low: int = 0
    high: int = 0
    table: Array | None = None

    @property
    def index_bits(self) -> int:
        """The bits of the index of the table, which is signed; 0 without a table."""
        if self.table is None:
            return 0
        # Of two's complement: -1 - v has as many bits below the sign as a negative v.
        return max(max(v, ~v).bit_length() for v in (self.low, self.high)) + 1

    def offset(self, type: QType) -> int:
        """What hardware clamps is less than the plain integer by this, for a result of ``type``.

        A result is stored less its type's offset; the index of a table is signed, and kept as it
        is.
        """
        return type.offset if self.table is None else 0

    def map(self, function: Callable, of_table: Callable) -> "Epilogue":
        """The same epilogue with ``function`` applied to what each channel has one number of.

        ``of_table`` is applied to the table, which may be one for all channels.
        """
        return replace(
            self,
            left=function(self.left),
            bias=function(self.bias),
            right=function(self.right),
            skip_left=None if self.skip_left is None else function(self.skip_left),
            table=None if self.table is None else of_table(self.table),
        )

    def taken(self, channels: list[int]) -> "Epilogue":
        """The epilogue of ``channels`` alone, in their order."""
        shared = self.table is not None and len(self.table) == 1
        return self.map(
            lambda values: values[channels],
            lambda table: table if shared else table[channels],
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
            last = clamp if self.table is None else self._table_text(full)
            return [*parts, f">>{array_text(self.right, full)} {last}"]
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
        low, high, table = 0, 0, None
        if reader.has("clamp "):
            low, high = _range(reader)
        elif rounded and reader.has("table"):
            low, high, table = _table(reader, outputs)
        epilogue = Epilogue(
            left=left,
            bias=bias,
            right=right,
            skip_left=skip_left,
            rounded=rounded,
            low=low,
            high=high,
            table=table,
        )
        return epilogue, skip

    def _table_text(self, full):
        word = "table" if len(self.table) == 1 else "tables"
        return f"{word} {self.low}..{self.high}={array_text(self.table, full)}"


def _table(reader, outputs):
    """The bounds of the index, and the table or the tables that come next."""
    rows = outputs if reader.has("s ") else 1
    start = reader.place
    low, high = _range(reader)
    # Before as many entries are made as a wrong range asks for.
    if not 0 <= high - low < 1 << INDEX_BITS:
        reader.refuse(f"a range of 1 to {1 << INDEX_BITS} entries", start)
    reader.expect("=")
    return low, high, reader.array((rows, high - low + 1), np.int64)


def _range(reader):
    low = reader.integer()
    reader.expect("..")
    return low, reader.integer()
