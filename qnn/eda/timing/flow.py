"""From a synthesised netlist to its clock: read, place, analyse."""

from collections.abc import Callable, Mapping

from qnn.eda.timing.analysis import Analysis, TimingResult
from qnn.eda.timing.delays import Delays
from qnn.eda.timing.grid import Grid
from qnn.eda.timing.netlist import read_netlist
from qnn.eda.timing.placer import FILL, place_netlist
from qnn.eda.timing.timed import timed


def analyse(
    written: Mapping,
    top: str,
    *,
    speed_grade: str,
    unused: bool = False,
    fill: float = FILL,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> TimingResult:
    """The timing of module ``top`` in what Yosys's ``write_json`` gives.

    Parameters
    ----------
    speed_grade : "-1" or "-2"
    unused : time also the inputs of LUTs on which nothing depends
    fill : share of the slices of its region that the design takes
    seed : of the placement

    Raises
    ------
    ToolError
        The device is too small.
    ValueError
        The cells form a loop without a register.
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
    return Analysis(delays, placed.placement).timing(Grid.load().device, speed_grade, counts)
