"""Input: an image, vector, sequence or row of tokens that the user gives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import inf, isfinite
from typing import Any, ClassVar

import numpy as np

from qnn.ir.arrays import INTEGERS, StoredArray, array_text
from qnn.ir.ops.operator import (
    HEAD_FIELDS,
    Head,
    Operator,
    check_activation_type,
    check_shape,
    check_within,
    refuse,
)
from qnn.ir.reader import TextReader, reals_text
from qnn.ir.rows import Rows
from qnn.ir.shape import AXES, Shape, fits_axes, meaning_of, usual_axes

# Bytes are what cameras, files and data sets give.
PIXELS = 256  # of the 8 bits that a table maps


@dataclass(frozen=True, eq=False, kw_only=True)
class Input(Operator):
    """What the network is run on.

    Members
    -------
    table : (channels, 256) integers, what each 8-bit pixel becomes in each channel; None: the user
        gives reals, rounded to ``type``
    statistics : mean and std of each channel, where ``type`` is not in units of the model: reals
        become what the pixels do that they are nearest to; None: they are rounded to ``type``
    axes : of the user's array, see ``qnn.ir.shape``; by default a vector's where the shape is one
        pixel, else an image's
    """

    kind = "input"
    words = ("input",)
    file_fields: ClassVar[Mapping[str, Any]] = {
        **HEAD_FIELDS,
        "table": StoredArray | None,
        "statistics": tuple[tuple[float, float], ...] | None,
        "axes": str,
    }
    optional_fields: ClassVar[tuple[str, ...]] = ("statistics", "axes")

    inputs: tuple[str, ...] = field(default=(), init=False)
    table: np.ndarray | None = None
    statistics: tuple[tuple[float, float], ...] | None = None
    axes: str | None = None

    def __post_init__(self):
        # Fixed here, so that readers of a graph find axes and never a missing value.
        if self.axes is None:
            object.__setattr__(self, "axes", usual_axes(self.shape))

    @property
    def is_computed(self) -> bool:
        return False

    @property
    def rounded(self) -> bool:
        return True

    def channels_of(self, sources: tuple[Operator, ...]) -> tuple[str, ...]:
        return ()

    def aligned(self, sources: tuple[Operator, ...]) -> tuple[str, ...]:
        return ()

    @property
    def summary(self) -> str:
        return "input"

    @property
    def macs(self) -> int:
        return 0

    def output_shape(self, sources: tuple[Operator, ...]) -> Shape:
        return self.shape

    def check(self, sources: tuple[Operator, ...]) -> None:
        check_shape(self)
        check_activation_type(self)
        self._check_axes()
        if self.table is not None:
            self._check_table()
        if self.statistics is not None:
            self._check_statistics()

    def prepare(self, sources: tuple[Operator, ...]) -> Callable:
        return lambda images: images

    def bounds(self, sources: tuple[Operator, ...]) -> None:
        return None

    def rows_read(self, rows: Rows, heights: tuple[int, ...]) -> tuple[Rows, ...]:
        return ()

    def strip(self, rows: Rows, read: Rows) -> "Input":
        shape = (self.shape[0], rows.count, self.shape[2])
        return replace(self, shape=shape)

    def stacked(self, images: int, sources: tuple[Operator, ...]) -> "Input":
        # A row of a vector's array is no longer one.
        return replace(super().stacked(images, sources), axes=None)

    def body(self, full: bool) -> str:
        parts = ["input()"]
        if self.table is not None:
            parts.append(self._table_text() if full else "table")
        if self.statistics is not None and full:
            parts.append(f"pixels={reals_text(self.statistics)}")
        parts += self._unusual_axes()
        return " ".join(parts)

    @classmethod
    def parse(cls, head: Head, word: str, reader: TextReader, shape_of: Callable) -> "Input":
        reader.expect("(")
        reader.expect(")")
        table = statistics = axes = None
        if reader.has("table"):
            dtype = reader.one_of(INTEGERS) if reader.has(":") else "int64"
            reader.expect("=")
            table = reader.array((head.shape[0], PIXELS), dtype)
        if reader.has("pixels="):
            statistics = reader.pairs_of_reals()
        if reader.has("axes="):
            axes = reader.axes()
        own = {"table": table, "statistics": statistics, "axes": axes}
        return cls(name=head.name, shape=head.shape, type=head.type, **own)

    def to_fields(self) -> dict:
        # What is usual is left out: files of graphs that have nothing else stay as they were.
        fields = {"name": self.name, "shape": self.shape, "type": self.type, "table": self.table}
        if self.statistics is not None:
            fields["statistics"] = self.statistics
        return fields if self.axes == usual_axes(self.shape) else {**fields, "axes": self.axes}

    @classmethod
    def from_fields(cls, fields: dict) -> "Input":
        return cls(**fields)

    def _check_axes(self):
        if meaning_of(self.axes) is None:
            refuse(self, f"axes {', '.join(AXES)}", repr(self.axes), "name one of them")
        if not fits_axes(self.shape, self.axes):
            needs = f"a shape of axes {self.axes}, {meaning_of(self.axes)}"
            refuse(self, needs, self.shape, "put what is not a channel along the height")

    def _check_table(self):
        wanted = (self.shape[0], PIXELS)
        if self.table.shape != wanted or not np.issubdtype(self.table.dtype, np.integer):
            got = f"{self.table.dtype} {self.table.shape}"
            refuse(self, f"a table of integers of shape {wanted}", got, "build it again")
        check_within(self, "a table", int(self.table.min()), int(self.table.max()))

    def _check_statistics(self):
        channels = self.shape[0]
        whole = self.table is not None and len(self.statistics) == channels
        usable = all(isfinite(mean) and 0 < std < inf for mean, std in self.statistics)
        if not (whole and usable):
            needs = f"a table, and a mean and a positive std for each of {channels} channels"
            refuse(self, needs, self.statistics, "build it again")

    def _table_text(self):
        """The table, and its type where that is not the usual one."""
        # Whatever integers a table came in go to the file as they are, and so to the text.
        dtype = "" if self.table.dtype == np.int64 else f":{self.table.dtype}"
        return f"table{dtype}={array_text(self.table, full=True)}"

    def _unusual_axes(self):
        return [] if self.axes == usual_axes(self.shape) else [f"axes={self.axes}"]
