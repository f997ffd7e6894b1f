"""Pooling of windows that differ: cut at a border, or of a size that does not divide the map.

Windows that are alike and at equal distances are pooled together, by themselves; the results lie
between each other on one grid. So each average has its own divisor, exactly.
"""

from dataclasses import dataclass, replace
from functools import partial

from qnn.frontend.aten.call import Call
from qnn.frontend.ops.average_pool import AveragePool
from qnn.frontend.ops.interleave import FloatInterleave
from qnn.frontend.ops.max_pool import FloatMaxPool
from qnn.frontend.ops.operator import FloatOperator
from qnn.frontend.passes.split_pools import reads_too_much
from qnn.ir.window import Window

MOST_REGIONS = 64  # each is a layer of its own, of some hundred cycles at least

Span = tuple[int, int, int]  # first place, places that hold values, places that count


@dataclass(frozen=True)
class WindowRun:
    """Windows along one axis that are alike, at one distance.

    Members
    -------
    first : the number of its first window; between the next ones lie those of other runs
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

    def border(self, size: int) -> tuple[int, int]:
        """Places around an axis of ``size``, which are cut off as far as no window reaches."""
        return -self.start, self.start + (self.count - 1) * self.step + self.length - size


def regions_of(spans: list[Span]) -> tuple[int, list[WindowRun]]:
    """The windows of an axis in few runs, and how many windows lie from one of a run to the next.

    Cut windows stand at the ends, and those of sizes that do not divide take turns.
    """
    found = ((apart, _runs(spans, apart)) for apart in range(1, len(spans) + 1))
    # The first of equals: windows side by side are computed many at a time.
    return min(found, key=lambda each: len(each[1]))


def _runs(spans, apart):
    found: list[WindowRun] = []
    for residue in range(apart):
        last = None
        for number in range(residue, len(spans), apart):
            start, length, counted = spans[number]
            if last is not None and (last.length, last.counted) == (length, counted):
                step = start - last.start if last.count == 1 else last.step
                if step > 0 and start == last.start + last.count * step:
                    last = found[-1] = replace(last, count=last.count + 1, step=step)
                    continue
            last = WindowRun(number, 1, start, length, 1, counted)
            found.append(last)
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

    The greatest in large windows are those of columns first, and of these along rows.

    Raises
    ------
    FaultyModel
        There are too many kinds of windows.
    """
    # Of maxima nothing is divided, so that cut windows are windows like any other.
    part = _maximum if greatest else partial(_average, divisor=divisor)
    source = call.source()
    if greatest and reads_too_much(max(length for _, length, _ in rows), source.shape):
        # A map that all windows read goes by once, a few rows at a time.
        across = _woven(call, source, _each(source.shape[1]), columns, part)
        source = call.make.add(replace(across, name=f"{call.name}.row"))
        columns = _each(len(columns))
    return _woven(call, source, rows, columns, part)


def _each(count):
    """Windows of one place each."""
    return [(place, 1, 1) for place in range(count)]


def _woven(call, source, rows, columns, part) -> FloatOperator:
    """The results of all kinds of windows, each by itself, between each other."""
    (down, of_rows), (right, of_columns) = regions_of(rows), regions_of(columns)
    kinds = len(of_rows) * len(of_columns)
    if kinds > MOST_REGIONS:
        raise call.refuse(
            f"windows of at most {MOST_REGIONS} kinds",
            f"{kinds}",
            "choose an output size that divides the input's",
        )
    runs = [(row, column) for row in of_rows for column in of_columns]
    parts = [part(call, source, row, column) for row, column in runs]
    if len(parts) == 1:
        return parts[0]
    return FloatInterleave(
        name=call.name,
        inputs=tuple(call.make.add(part).name for part in parts),
        shape=(source.shape[0], len(rows), len(columns)),
        step=(down, right),
        offsets=tuple((row.first, column.first) for row, column in runs),
    )


def _maximum(call, source, row, column):
    return FloatMaxPool(**_fields(call, source, row, column))


def _average(call, source, row, column, divisor):
    counted = divisor or row.counted * column.counted
    return AveragePool(**_fields(call, source, row, column), divisor=counted)


def _fields(call, source, row, column):
    """What pools of either kind have."""
    channels, height, width = source.shape
    return {
        "name": f"{call.name}.part",
        "inputs": (source.name,),
        "shape": (channels, row.count, column.count),
        "window": Window(
            kernel=(row.length, column.length),
            stride=(row.step, column.step),
            padding=(*row.border(height), *column.border(width)),
        ),
    }
