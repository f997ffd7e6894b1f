"""Where sites of a device are, in columns and rows of slices."""

from collections.abc import Iterable, Mapping

import numpy as np

Site = tuple[str, int, int]  # kind, column and row on the grid of its kind
# Of each kind but slices, and its column, as "DSP48E2 3": the column of slices beside it.
Columns = Mapping[str, float]

SLICE = "SLICE"
# Rows of slices to a row of another kind: a region of 60 slices has 24 DSP blocks, 12 block RAMs
# of 36 Kb or 24 of 18 Kb, and 16 UltraRAMs (UG573, UG579).
ROWS = {SLICE: 1.0, "DSP48E2": 2.5, "RAMB36": 5.0, "RAMB18": 2.5, "URAM288": 3.75}
FEWEST = 20  # nets that tell where a column is


def distances(ends: Iterable[tuple[Site, Site, Columns]]) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows of slices between pairs of sites, shape (nets,) each.

    Each kind counts its columns on a grid of its own, which is another one on each device: where
    nothing tells where one is, a net to it has no columns.
    """
    pairs = list(ends)
    columns = [abs(_columns(begin, end, known)) for begin, end, known in pairs]
    rows = [abs(_row(begin) - _row(end)) for begin, end, _ in pairs]
    return np.array(columns, float), np.array(rows, float)


def columns_beside(ends: Iterable[tuple[Site, Site]]) -> dict[str, float]:
    """Where columns of other kinds are: in the middle of the slices that nets join with them."""
    found: dict[str, list[int]] = {}
    for one, other in ends:
        for here, there in ((one, other), (other, one)):
            if here[0] != SLICE == there[0]:
                found.setdefault(_name(here), []).append(there[1])
    return {
        name: float(np.median(columns))
        for name, columns in sorted(found.items())
        if len(columns) >= FEWEST
    }


def _columns(begin, end, known):
    if begin[0] == end[0]:
        return end[1] - begin[1]
    places = [site[1] if site[0] == SLICE else known.get(_name(site)) for site in (begin, end)]
    return 0 if None in places else places[1] - places[0]


def _name(site):
    return f"{site[0]} {site[1]}"


def _row(site):
    return site[2] * ROWS.get(site[0], 1.0)
