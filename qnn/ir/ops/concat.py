"""Concat: the channels of several tensors, one after the other."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from qnn.ir.arithmetic import arithmetic
from qnn.ir.ops.operator import HEAD_FIELDS, Head, Operator, check_same_type, refuse
from qnn.ir.reader import TextReader, written_name
from qnn.ir.rows import Rows
from qnn.ir.shape import Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class Concat(Operator):
    """The channels of all operands, which have this ``type`` too, in their order."""

    kind = "concat"
    words = ("concat",)
    file_fields: ClassVar[Mapping[str, Any]] = {**HEAD_FIELDS, "inputs": tuple[str, ...]}

    @property
    def is_computed(self) -> bool:
        # Its operands are computed in their places inside it.
        return False

    @property
    def rounded(self) -> bool:
        return True

    def channels_of(self, sources: tuple[Operator, ...]) -> tuple[str, ...]:
        # What each operand laid out already is laid out.
        return self.inputs

    def aligned(self, sources: tuple[Operator, ...]) -> tuple[str, ...]:
        # Of each operand, channels come to lie behind others.
        return ()

    @property
    def in_place(self) -> tuple[str, ...]:
        return self.inputs

    @property
    def summary(self) -> str:
        return "concatenation"

    @property
    def macs(self) -> int:
        # Values lie where they were computed.
        return 0

    def output_shape(self, sources: tuple[Operator, ...]) -> Shape:
        return sum(source.shape[0] for source in sources), *sources[0].shape[1:]

    def check(self, sources: tuple[Operator, ...]) -> None:
        if not self.inputs:
            refuse(self, "operands", "none", "remove it")
        for source in sources:
            check_same_type(self, source)
        shapes = [source.shape for source in sources]
        # Heights and widths first: a sum of channels says nothing where maps differ.
        ragged = any(shape[1:] != shapes[0][1:] for shape in shapes)
        if ragged or self.shape != self.output_shape(sources):
            needs = "a shape that stacks its operands' channels"
            got = f"{self.shape} of operands {', '.join(map(str, shapes))}"
            refuse(self, needs, got, "make the shapes agree")

    def prepare(self, sources: tuple[Operator, ...]) -> Callable:
        return arithmetic().joined

    def bounds(self, sources: tuple[Operator, ...]) -> None:
        return None

    def rows_read(self, rows: Rows, heights: tuple[int, ...]) -> tuple[Rows, ...]:
        # Rows stay rows, as channels alone are joined.
        return (rows,) * len(self.inputs)

    def strip(self, rows: Rows, read: Rows) -> "Concat":
        return replace(self, shape=(self.shape[0], rows.count, self.shape[2]))

    def stacked(self, images: int, sources: tuple[Operator, ...]) -> "Concat | None":
        return super().stacked(images, sources)

    def body(self, full: bool) -> str:
        return f"concat({', '.join(map(written_name, self.inputs))})"

    @classmethod
    def parse(cls, head: Head, word: str, reader: TextReader, shape_of: Callable) -> "Concat":
        return cls(name=head.name, inputs=reader.names(), shape=head.shape, type=head.type)

    def to_fields(self) -> dict:
        return {"name": self.name, "inputs": self.inputs, "shape": self.shape, "type": self.type}

    @classmethod
    def from_fields(cls, fields: dict) -> "Concat":
        return cls(**fields)
