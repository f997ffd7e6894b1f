"""Where sites of a device are, in columns and rows of slices."""

import numpy as np

Site = tuple[str, int, int]  # kind, column and row on the grid of its kind

# Rows of slices to a row of another kind: a region of 60 slices has 24 DSP blocks, 12 block RAMs
# of 36 Kb or 24 of 18 Kb, and 16 UltraRAMs (UG573, UG579).
ROWS = {"SLICE": 1.0, "DSP48E2": 2.5, "RAMB36": 5.0, "RAMB18": 2.5, "URAM288": 3.75}


def distances(begins: list[Site], ends: list[Site]) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows of slices from each of ``begins`` to each of ``ends``, shape (nets,) each.

    Columns of other kinds are counted on a grid of their own, which is another one on each device:
    between two kinds a net has no columns.
    """
    # Of two kinds no one column's number tells the distance to the other's.
    pairs = list(zip(begins, ends, strict=True))
    columns = [end[1] - begin[1] if begin[0] == end[0] else 0 for begin, end in pairs]
    rows = [_row(end) - _row(begin) for begin, end in pairs]
    return np.array(columns, float), np.array(rows, float)


def _row(site):
    return site[2] * ROWS.get(site[0], 1.0)
