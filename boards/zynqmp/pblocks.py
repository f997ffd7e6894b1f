"""A part of the device for each core, as Vivado's constraints: cores then do not mix in places.

Vivado spreads cells that nothing holds together over the whole device, and a core's long nets with
them. Parts are rows of the device, as many slices each, beside and above the processor. Where the
columns are is known of the XCZU9EG alone (``qnn.eda.timing.grid``); other devices have no parts.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from qnn.eda.timing.grid import Grid

HEADER = "\n# Each core has a part of the device to itself, so that its nets are short.\n"
PART = """\
create_pblock core_{core}
add_cells_to_pblock [get_pblocks core_{core}] [get_cells system_i/core_{core}]
resize_pblock [get_pblocks core_{core}] -add {{{ranges}}}
"""


@dataclass(frozen=True)
class Rectangle:
    """Columns and rows of slices, the last ones included."""

    left: int
    bottom: int
    right: int
    top: int


def parts(grid: Grid, cores: int) -> list[list[Rectangle]]:
    """The rectangles of each core, from the bottom to the top."""
    columns, rows = grid.processor
    step = grid.rows // grid.block[1]  # a block RAM is as high as that
    # Slices below each row at which a part may end.
    ends = np.arange(0, grid.rows + 1, step)
    below = ends * grid.columns - np.minimum(ends, rows) * columns
    found, bottom = [], 0
    for core in range(1, cores + 1):
        top = int(ends[np.abs(below - below[-1] * core / cores).argmin()])
        spans = (columns, bottom, min(top, rows)), (0, max(bottom, rows), top)
        found.append(
            [
                Rectangle(left, low, grid.columns - 1, high - 1)
                for left, low, high in spans
                if low < high
            ]
        )
        bottom = top
    return found


def constraints(device: str, cores: int) -> str:
    """The parts of a device's cores as XDC; none for one core, or where columns are not known."""
    grid = Grid.load()
    if cores == 1 or device.lower() != grid.device:
        return ""
    texts = [
        PART.format(
            core=core,
            ranges=" ".join(text for one in rectangles for text in _ranges(grid, one)),
        )
        for core, rectangles in enumerate(parts(grid, cores))
    ]
    return HEADER + "".join(texts)


def _ranges(grid: Grid, part: Rectangle) -> Iterator[str]:
    """The sites in a rectangle by Vivado's names, which count the columns of each kind."""
    yield _range("SLICE", part.left, part.bottom, part.right, part.top)
    at, count = grid.block
    x = [n for n, place in enumerate(at) if part.left <= place <= part.right]
    first, last = (row * count // grid.rows for row in (part.bottom, part.top))
    yield _range("RAMB36", x[0], first, x[-1], last)
    yield _range("RAMB18", x[0], 2 * first, x[-1], 2 * last + 1)


def _range(kind, left, bottom, right, top):
    return f"{kind}_X{left}Y{bottom}:{kind}_X{right}Y{top}"
