"""MaxPool: the maximum over each window."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from qnn.fields import Count
from qnn.ir.arithmetic import arithmetic
from qnn.ir.ops.operator import (
    HEAD_FIELDS,
    WINDOW_FIELDS,
    Head,
    Operator,
    check_same_type,
    check_shape,
    check_window,
    refuse,
)
from qnn.ir.reader import TextReader, written_name
from qnn.ir.rows import Rows
from qnn.ir.shape import Shape
from qnn.ir.window import Window


@dataclass(frozen=True, eq=False, kw_only=True)
class MaxPool(Operator):
    """The maximum over each window of each channel; padding never wins."""

    kind = "maxpool"
    words = ("maxpool",)
    file_fields: ClassVar[Mapping[str, Any]] = {
        **HEAD_FIELDS,
        "input": str,
        "kernel": tuple[Count, Count],
        **WINDOW_FIELDS,
    }

    window: Window

    @property
    def is_computed(self) -> bool:
        return True

    @property
    def rounded(self) -> bool:
        return True

    def channels_of(self, sources: tuple[Operator, ...]) -> tuple[str, ...]:
        # A maximum is taken channel by channel.
        return self.inputs

    def aligned(self, sources: tuple[Operator, ...]) -> tuple[str, ...]:
        return self.inputs

    @property
    def in_place(self) -> tuple[str, ...]:
        return self.inputs

    @property
    def takes_maximum(self) -> bool:
        return True

    @property
    def summary(self) -> str:
        return f"max pooling {self.window.summary}"

    @property
    def macs(self) -> int:
        # Comparisons, no products.
        return 0

    def output_shape(self, sources: tuple[Operator, ...]) -> Shape:
        channels, *size = sources[0].shape
        return channels, *self.window.output_size(tuple(size))

    def check(self, sources: tuple[Operator, ...]) -> None:
        (source,) = sources
        check_shape(self)
        check_same_type(self, source)
        if self.shape[0] != source.shape[0]:
            refuse(self, f"{source.shape[0]} channels", self.shape[0], "keep the channels")
        check_window(self, self.window, source)

    def prepare(self, sources: tuple[Operator, ...]) -> Callable:
        greatest = arithmetic().greatest
        # No value is less than the type's least, so that padding never wins.
        return lambda x: greatest(x, self.window, self.type.low)

    def bounds(self, sources: tuple[Operator, ...]) -> None:
        # It adds nothing up, so that nothing can overflow.
        return None

    def rows_read(self, rows: Rows, heights: tuple[int, ...]) -> tuple[Rows, ...]:
        return (self.window.rows_read(rows, heights[0]),)

    def strip(self, rows: Rows, read: Rows) -> "MaxPool":
        shape = (self.shape[0], rows.count, self.shape[2])
        return replace(self, shape=shape, window=self.window.strip(rows, read))

    def stacked(self, images: int, sources: tuple[Operator, ...]) -> "MaxPool | None":
        window = self.window.stacked(sources[0].shape[1], self.shape[1])
        moved = super().stacked(images, sources[1:])
        return None if window is None or moved is None else replace(moved, window=window)

    def body(self, full: bool) -> str:
        kernel = "x".join(map(str, self.window.kernel))
        head = f"maxpool({written_name(self.inputs[0])}) {kernel}"
        return " ".join([head, *self.window.parts()])

    @classmethod
    def parse(cls, head: Head, word: str, reader: TextReader, shape_of: Callable) -> "MaxPool":
        reader.expect("(")
        name = reader.name()
        reader.expect(")")
        window = Window.parse(reader, reader.sizes(2))
        return cls(name=head.name, inputs=(name,), shape=head.shape, type=head.type, window=window)

    def to_fields(self) -> dict:
        window = self.window
        return {
            "name": self.name,
            "input": self.inputs[0],
            "shape": self.shape,
            "type": self.type,
            "kernel": window.kernel,
            "stride": window.stride,
            "padding": window.padding,
            "dilation": window.dilation,
        }

    @classmethod
    def from_fields(cls, fields: dict) -> "MaxPool":
        fields = dict(fields)
        # A file has a window's parts beside the node's own fields.
        parts = ("kernel", "stride", "padding", "dilation")
        window = Window(**{part: fields.pop(part) for part in parts})
        return cls(inputs=(fields.pop("input"),), window=window, **fields)
