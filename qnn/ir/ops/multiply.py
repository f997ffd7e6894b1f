"""Multiply: the product of two tensors, value by value, with the epilogue that finishes it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from qnn.errors import CompileError
from qnn.ir.arithmetic import arithmetic
from qnn.ir.epilogue import Epilogue
from qnn.ir.ops.finish import (
    EPILOGUE_FIELDS,
    check_epilogue,
    check_result,
    epilogue_fields,
    taken_epilogue,
)
from qnn.ir.ops.operator import (
    HEAD_FIELDS,
    Head,
    Operator,
    broadcast_rows,
    check_broadcast,
    check_shape,
    refuse,
    shared_operands,
)
from qnn.ir.products import Products
from qnn.ir.reader import TextReader, written_name
from qnn.ir.rows import Rows
from qnn.ir.shape import Shape
from qnn.ir.sums import Bounds


@dataclass(frozen=True, eq=False, kw_only=True)
class Multiply(Operator):
    """The products of plain integers, storage offsets put back, then the epilogue.

    Members
    -------
    inputs : two tensors, of which the first has the result's shape, and the second has it too, or
        is spread: one value for each channel (channels, 1, 1), for each pixel (1, height, width),
        or for all; a square names one tensor twice
    epilogue : without a skip operand
    """

    kind = "multiply"
    words = ("multiply",)
    file_fields: ClassVar[Mapping[str, Any]] = {
        **HEAD_FIELDS,
        "inputs": tuple[str, str],
        **EPILOGUE_FIELDS,
    }
    optional_fields: ClassVar[tuple[str, ...]] = ("table",)

    epilogue: Epilogue[np.ndarray]

    @property
    def is_computed(self) -> bool:
        return True

    @property
    def rounded(self) -> bool:
        return self.epilogue.rounded

    def channels_of(self, sources: tuple[Operator, ...]) -> tuple[str, ...]:
        # In the same lanes as the first operand, so that what is copied meets its factor.
        return self.inputs[:1]

    def aligned(self, sources: tuple[Operator, ...]) -> tuple[str, ...]:
        return tuple(name for name in self.inputs if name not in shared_operands(self, sources))

    @property
    def spread(self) -> tuple[str, ...]:
        return self.inputs[1:]

    @property
    def summary(self) -> str:
        return "square" if self.inputs[0] == self.inputs[1] else "product"

    @property
    def macs(self) -> int:
        # Products of two activations, and none with a weight.
        return 0

    def output_shape(self, sources: tuple[Operator, ...]) -> Shape:
        # What has fewer values is spread over the first operand.
        return sources[0].shape

    def check(self, sources: tuple[Operator, ...]) -> None:
        check_shape(self)
        if len(self.inputs) != 2:
            do = "multiply two at a time"
            refuse(self, "two operands", f"{len(self.inputs)} inputs", do)
        first, second = sources
        if first.shape != self.shape:
            got = f"{first.shape} of '{first.name}'"
            refuse(self, f"an operand of shape {self.shape}", got, "make the shapes equal")
        check_broadcast(self, "a second operand", second)
        for factor in sources:
            # Hardware puts back half the range of an unsigned one, or nothing.
            if factor.type.zero_point:
                got = f"{factor.type} of '{factor.name}'"
                refuse(self, "factors that are stored with 0 as 0", got, "requantize the operand")
        if self.epilogue.skip_left is not None:
            refuse(self, "an epilogue without a skip", "skip_left", "add in a convolution behind")
        check_epilogue(self, self.epilogue, skip=False)
        check_result(self, self.epilogue)

    def sums(self, sources: tuple[Operator, ...]) -> Products:
        """The products of operands of the types of ``sources``."""
        one, other = sources
        return Products(epilogue=self.epilogue, result=self.type, one=one.type, other=other.type)

    def prepare(self, sources: tuple[Operator, ...]) -> Callable:
        exact = arithmetic()
        products, result = self.sums(sources).plain_bounds()
        if result >= 1 << 63:
            raise CompileError(
                f"multiply '{self.name}' needs sums of {result.bit_length() + 1} bits, but the "
                f"reference has 64; quantize to fewer bits"
            )
        # Adding half before the shift rounds half up; it rides in the bias.
        half = 1 << self.epilogue.right >> 1  # 0 where nothing is shifted out
        epilogue = replace(self.epilogue, bias=self.epilogue.bias + half).map(
            lambda values: exact.channels_of(values, result), exact.tensor_of
        )

        def run(one, other):
            product = exact.multiplied(one, other, products)
            return exact.stored(exact.finished(product, epilogue, None), self.type)

        return run

    def bounds(self, sources: tuple[Operator, ...]) -> Bounds:
        return self.sums(sources).bounds(self.name)

    def rows_read(self, rows: Rows, heights: tuple[int, ...]) -> tuple[Rows, ...]:
        # Pixel by pixel: no window reaches further.
        return rows, broadcast_rows(rows, heights[1])

    def strip(self, rows: Rows, read: Rows) -> "Multiply":
        return replace(self, shape=(self.shape[0], rows.count, self.shape[2]))

    def stacked(self, images: int, sources: tuple[Operator, ...]) -> "Multiply | None":
        return super().stacked(images, sources)

    def body(self, full: bool) -> str:
        head = f"multiply({', '.join(map(written_name, self.inputs))})"
        return " ".join([head, *self.epilogue.parts(None, full)])

    @classmethod
    def parse(cls, head: Head, word: str, reader: TextReader, shape_of: Callable) -> "Multiply":
        inputs = reader.names()
        # What adds a skip operand has a shift for it, which ``check`` refuses.
        epilogue, _ = Epilogue.parse(reader, head.shape[0])
        return cls(
            name=head.name, inputs=inputs, shape=head.shape, type=head.type, epilogue=epilogue
        )

    def to_fields(self) -> dict:
        return {
            "name": self.name,
            "inputs": self.inputs,
            "shape": self.shape,
            "type": self.type,
            **epilogue_fields(self.epilogue),
        }

    @classmethod
    def from_fields(cls, fields: dict) -> "Multiply":
        fields = dict(fields)
        return cls(epilogue=taken_epilogue(fields), **fields)
