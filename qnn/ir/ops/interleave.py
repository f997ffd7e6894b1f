"""Interleave: pixels of several tensors side by side, each tensor at its own offset and step."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, ClassVar

from qnn.fields import Count, Place
from qnn.ir.arithmetic import arithmetic
from qnn.ir.ops.operator import (
    HEAD_FIELDS,
    Head,
    Operator,
    check_same_type,
    check_shape,
    refuse,
)
from qnn.ir.reader import TextReader, written_name
from qnn.ir.rows import Rows
from qnn.ir.shape import Shape
from qnn.ir.window import Pair


@dataclass(frozen=True, eq=False, kw_only=True)
class Interleave(Operator):
    """All operands, which have this ``type`` and these channels, on one grid of pixels.

    Pixel (y, x) of operand k is pixel ``offsets[k] + (y, x) * step``; each pixel has one. That is
    upsampling and transposed convolution, whose phases lie ``step`` apart, and with a step of
    (1, 1) what lies side by side.

    Members
    -------
    step : rows and columns from pixel to pixel of an operand
    offsets : row and column of the first pixel of each operand
    """

    kind = "interleave"
    words = ("interleave",)
    file_fields: ClassVar[Mapping[str, Any]] = {
        **HEAD_FIELDS,
        "inputs": tuple[str, ...],
        "step": tuple[Count, Count],
        "offsets": tuple[tuple[Place, Place], ...],
    }

    step: Pair
    offsets: tuple[Pair, ...]

    @property
    def is_computed(self) -> bool:
        # Its operands are computed in their places inside it.
        return False

    @property
    def rounded(self) -> bool:
        return True

    def channels_of(self, sources: tuple[Operator, ...]) -> tuple[str, ...]:
        # All operands have the same channels in the same lanes, so that one tells.
        return self.inputs[:1]

    def aligned(self, sources: tuple[Operator, ...]) -> tuple[str, ...]:
        return self.inputs

    @property
    def in_place(self) -> tuple[str, ...]:
        return self.inputs

    @property
    def interleaves(self) -> bool:
        return True

    @property
    def summary(self) -> str:
        return f"{len(self.inputs)} tensors interleaved, step {_pair(self.step)}"

    @property
    def macs(self) -> int:
        # Values lie where they were computed.
        return 0

    def output_shape(self, sources: tuple[Operator, ...]) -> Shape:
        return sources[0].shape[0], *whole_size(self.step, self.offsets, _sizes(sources))

    def check(self, sources: tuple[Operator, ...]) -> None:
        # What says how many operands there are comes first, as all else counts on it.
        if not self.inputs:
            refuse(self, "operands", "none", "remove it")
        check_shape(self)
        if len(self.offsets) != len(self.inputs):
            got = f"{len(self.offsets)} for {len(self.inputs)} operands"
            refuse(self, "an offset for each operand", got, "correct it")
        if min(*self.step, *(place + 1 for pair in self.offsets for place in pair)) < 1:
            got = f"step {self.step} and offsets {self.offsets}"
            refuse(self, "steps of at least 1 and offsets of at least 0", got, "correct it")
        for source in sources:
            check_same_type(self, source)
            if source.shape[0] != self.shape[0]:
                got = f"{source.shape[0]} of '{source.name}'"
                refuse(self, f"operands of {self.shape[0]} channels", got, "keep the channels")
        self._check_cover(sources)

    def prepare(self, sources: tuple[Operator, ...]) -> Callable:
        # Sizes are those of the tensors that come, which may be a strip's.
        interleaved = arithmetic().interleaved
        return lambda *operands: interleaved(operands, self.shape, self.step, self.offsets)

    def bounds(self, sources: tuple[Operator, ...]) -> None:
        # Values stay what they are.
        return None

    def rows_read(self, rows: Rows, heights: tuple[int, ...]) -> tuple[Rows, ...]:
        # An operand may have no row among them: then its range is empty.
        return tuple(
            Rows(*(min(_row(row, top, self.step[0]), height) for row in rows))
            for (top, _), height in zip(self.offsets, heights, strict=True)
        )

    def strip(self, rows: Rows, read: Rows) -> "Interleave":
        # Each operand's first row of the strip, counted from the strip's own first.
        tops = (
            top + _row(rows.first, top, self.step[0]) * self.step[0] - rows.first
            for top, _ in self.offsets
        )
        offsets = zip(tops, (left for _, left in self.offsets), strict=True)
        shape = (self.shape[0], rows.count, self.shape[2])
        return replace(self, shape=shape, offsets=tuple(offsets))

    def stacked(self, images: int, sources: tuple[Operator, ...]) -> None:
        # Rows of an image lie between each other.
        return None

    def body(self, full: bool) -> str:
        # Short and full text are one: it has no arrays.
        places = ",".join(map(_pair, self.offsets))
        names = ", ".join(map(written_name, self.inputs))
        return f"interleave({names}) step={_pair(self.step)} at={places}"

    @classmethod
    def parse(cls, head: Head, word: str, reader: TextReader, shape_of: Callable) -> "Interleave":
        names = reader.names()
        reader.expect("step=")
        step = reader.sizes(2)
        reader.expect("at=")
        offsets = [reader.sizes(2)]
        while reader.has(","):
            offsets.append(reader.sizes(2))
        return cls(
            name=head.name,
            inputs=names,
            shape=head.shape,
            type=head.type,
            step=step,
            offsets=tuple(offsets),
        )

    def to_fields(self) -> dict:
        return {
            "name": self.name,
            "inputs": self.inputs,
            "shape": self.shape,
            "type": self.type,
            "step": self.step,
            "offsets": self.offsets,
        }

    @classmethod
    def from_fields(cls, fields: dict) -> "Interleave":
        return cls(**fields)

    def _check_cover(self, sources):
        fault = uncovered(self.step, self.offsets, _sizes(sources), self.shape[1:])
        if fault is not None:
            needs = f"each of its {_pair(self.shape[1:])} pixels from one operand"
            refuse(self, needs, fault, "correct its step or offsets")


def whole_size(step: Pair, offsets: tuple[Pair, ...], sizes: tuple[Pair, ...]) -> Pair:
    """Height and width of the least grid that holds operands of ``sizes``."""
    # Of each operand, what follows its last pixel.
    ends = (
        (top + (height - 1) * step[0] + 1, left + (width - 1) * step[1] + 1)
        for (top, left), (height, width) in zip(offsets, sizes, strict=True)
    )
    heights, widths = zip(*ends, strict=True)
    return max(heights), max(widths)


def uncovered(
    step: Pair, offsets: tuple[Pair, ...], sizes: tuple[Pair, ...], whole: Pair
) -> str | None:
    """What keeps operands of ``sizes`` from covering each pixel of ``whole`` once; None: nothing.

    Sizes are (height, width). Pixels are counted and not marked, as there may be 2**31.
    """
    covered = whole_size(step, offsets, sizes)
    if covered != whole:
        return f"operands that cover {_pair(covered)}"
    of: dict[Pair, list[tuple[int, Pair, Pair]]] = {}
    for number, ((top, left), size) in enumerate(zip(offsets, sizes, strict=True)):
        first, residue = zip(divmod(top, step[0]), divmod(left, step[1]), strict=True)
        of.setdefault(residue, []).append((number, first, size))
    # Only operands whose offsets differ by whole steps can meet.
    for same in of.values():
        for (one, *a), (other, *b) in combinations(same, 2):
            if _meet(*a, *b):
                return f"operands {one} and {other} in the same place"
    count = sum(height * width for height, width in sizes)
    return None if count == whole[0] * whole[1] else f"{count} pixels in all"


def _meet(first, size, other, other_size):
    """Whether two rectangles share a pixel."""
    axes = zip(first, size, other, other_size, strict=True)
    return all(a < b + more and b < a + count for a, count, b, more in axes)


def _row(row, top, step):
    """The operand's first row at or behind ``row`` of the whole, before its end is looked at."""
    return max(-((top - row) // step), 0)


def _sizes(sources):
    return tuple(source.shape[1:] for source in sources)


def _pair(pair):
    return "x".join(map(str, pair))
