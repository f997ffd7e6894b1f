"""Pooling of windows that differ: cut at a border, or of a size that does not divide the map.

Windows that are alike lie together in a region, which is pooled by itself; regions are laid side by
side. So each average has its own divisor, exactly.
"""

from dataclasses import dataclass
from functools import partial

from qnn.frontend.aten.call import Call
from qnn.frontend.ops.average_pool import AveragePool
from qnn.frontend.ops.interleave import FloatInterleave
from qnn.frontend.ops.max_pool import FloatMaxPool
from qnn.frontend.ops.operator import FloatOperator
from qnn.frontend.ops.slice import Slice
from qnn.ir.window import Window

MOST_REGIONS = 64  # each is a layer of its own, of some hundred cycles at least

Span = tuple[int, int, int]  # first place, places that hold values, places that count


@dataclass(frozen=True)
class WindowRun:
    """Windows along one axis, one after the other at one distance.

    Members
    -------
    first : the number of its first window
    count : of windows
    start, length : of the first window's places
    step : from window to window
    counted : what a sum is divided by
    """

    first: int
    count: int
    start: int
    length: int
    step: int
    counted: int

    @property
    def size(self) -> int:
        """The places that all its windows reach over."""
        return (self.count - 1) * self.step + self.length


def regions_of(spans: list[Span]) -> list[WindowRun]:
    """The windows of an axis in as few regions as one walk along it gives."""
    found: list[WindowRun] = []
    for number, (start, length, counted) in enumerate(spans):
        last = found[-1] if found else None
        if last is not None and (last.length, last.counted) == (length, counted):
            step = start - last.start if last.count == 1 else last.step
            if step > 0 and start == last.start + last.count * step:
                found[-1] = WindowRun(last.first, last.count + 1, last.start, length, step, counted)
                continue
        found.append(WindowRun(number, 1, start, length, 1, counted))
    return found


def pooled(
    call: Call,
    rows: list[Span],
    columns: list[Span],
    divisor: int | None = None,
    *,
    greatest: bool = False,
) -> FloatOperator:
    """The averages over all windows of ``rows`` and ``columns``, or the ``greatest`` in each.

    Raises
    ------
    FaultyModel
        There are too many kinds of windows.
    """
    source, grid = call.source(), (regions_of(rows), regions_of(columns))
    if len(grid[0]) * len(grid[1]) > MOST_REGIONS:
        raise call.refuse(
            f"windows of at most {MOST_REGIONS} kinds",
            f"{len(grid[0]) * len(grid[1])}",
            "choose an output size that divides the input's",
        )
    parts, places = [], []
    for row in grid[0]:
        for column in grid[1]:
            # Of maxima nothing is divided, so that cut windows are windows like any other.
            region = _region(call, source, row, column)
            part = _maximum if greatest else partial(_average, divisor=divisor)
            parts.append(part(call, region, row, column))
            places.append((row.first, column.first))
    if len(parts) == 1:
        return parts[0]
    return FloatInterleave(
        name=call.name,
        inputs=tuple(call.make.add(part).name for part in parts),
        shape=call.shape,
        step=(1, 1),
        offsets=tuple(places),
    )


def _region(call, source, row, column):
    size = (row.size, column.size)
    if size == source.shape[1:]:
        return source
    return call.make.add(
        Slice(
            name=f"{call.name}.region",
            inputs=(source.name,),
            shape=(source.shape[0], *size),
            start=(row.start, column.start),
            size=size,
        )
    )


def _maximum(call, region, row, column):
    return FloatMaxPool(**_fields(call, region, row, column))


def _average(call, region, row, column, divisor):
    counted = divisor or row.counted * column.counted
    return AveragePool(**_fields(call, region, row, column), divisor=counted)


def _fields(call, region, row, column):
    """What pools of either kind have."""
    return {
        "name": f"{call.name}.part",
        "inputs": (region.name,),
        "shape": (region.shape[0], row.count, column.count),
        "window": Window(kernel=(row.length, column.length), stride=(row.step, column.step)),
    }
