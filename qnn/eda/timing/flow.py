"""From a synthesised netlist to its clock: read, place, analyse."""

from collections.abc import Callable, Mapping

from qnn.eda.timing.analysis import Analysis, TimingResult
from qnn.eda.timing.delays import Delays
from qnn.eda.timing.grid import Grid
from qnn.eda.timing.netlist import read_netlist
from qnn.eda.timing.placer import FILL, place_netlist
from qnn.eda.timing.timed import timed
from qnn.eda.timing.twice import at_slow_clock, by_time, clocked_twice


def analyse(
    written: Mapping,
    top: str,
    *,
    speed_grade: str,
    unused: bool = False,
    fill: float = FILL,
    seed: int = 0,
    twice: str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> TimingResult:
    """The timing of module ``top`` in what Yosys's ``write_json`` gives.

    Parameters
    ----------
    speed_grade : "-1" or "-2"
    unused : time also the inputs of LUTs on which nothing depends
    fill : share of the slices of its region that the design takes
    seed : of the placement
    twice : the port of a clock of twice the rate; the result's clock is the other one, and its
        paths are of the part that bounds it

    Raises
    ------
    ToolError
        The device is too small.
    ValueError
        The cells form a loop without a register, or there is no port ``twice``.
    """
    netlist = read_netlist(written, top, unused)
    delays = Delays(timed(netlist, unused), speed_grade)
    placed = place_netlist(
        netlist,
        timing=lambda placement: Analysis(delays, placement),
        fill=fill,
        seed=seed,
        progress=progress,
    )
    counts = {
        "cells": netlist.cells,
        "slices": round(placed.slices),
        "conflicts": placed.packing.conflicts,
    }
    device, placement = Grid.load().device, placed.placement
    if twice is None:
        return Analysis(delays, placement).timing(device, speed_grade, counts)
    found = [
        at_slow_clock(
            Analysis(Delays(part, speed_grade), placement).timing(device, speed_grade, counts),
            times,
        )
        for part, times in by_time(delays.timed, clocked_twice(netlist, twice))
    ]
    return min(found, key=lambda part: part.clock_mhz_low)
