"""Cells behind a clock of twice the rate: paths from and to them have half of the time.

Each edge of the slow clock is one of the fast clock, which has one more in the middle.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from qnn.eda.timing.analysis import TimingResult
from qnn.eda.timing.kinds import is_clock
from qnn.eda.timing.netlist import Netlist
from qnn.eda.timing.timed import Timed

BUFFER = "BUFG"  # of a clock, which all of its loads are behind


def clocked_twice(netlist: Netlist, port: str) -> np.ndarray:
    """(cells,) whether the clock of a cell comes from the input ``port`` of the top module.

    Raises
    ------
    ValueError
        There is no such port.
    """
    edge = [cell for cell in range(netlist.cells) if netlist.kind_of(cell) == "PORT"]
    nets = {
        int(netlist.pin_net[netlist.first_pin[cell]])
        for cell in edge
        if netlist.cell_name(cell) == port
    }
    if not nets:
        raise ValueError(f"clocked_twice needs a port of the netlist, but it has no {port}")
    clock = np.array([is_clock(name.split("[")[0]) for name in netlist.ports])
    for cell in np.flatnonzero(netlist.kind == _number(netlist, BUFFER)):
        first, last = netlist.first_pin[cell : cell + 2]
        if nets & set(netlist.pin_net[first:last].tolist()):
            nets |= set(netlist.pin_net[first:last].tolist())
    pins = clock[netlist.pin_port] & np.isin(netlist.pin_net, sorted(nets))
    found = np.zeros(netlist.cells, bool)
    found[netlist.pin_cell[pins]] = True
    return found


def by_time(whole: Timed, fast: np.ndarray) -> Iterator[tuple[Timed, int]]:
    """Parts of a netlist's paths, with by how much sooner than a period of the slow clock they end.

    Parameters
    ----------
    fast : (cells,)
    """
    cell = whole.netlist.pin_cell
    begins, ends = fast[cell[whole.starts]], fast[cell[whole.ends]]
    yield replace(whole, starts=whole.starts[~begins], ends=whole.ends[~ends]), 1
    yield replace(whole, ends=whole.ends[ends]), 2
    yield replace(whole, starts=whole.starts[begins]), 2


def at_slow_clock(found: TimingResult, times: int) -> TimingResult:
    """The clocks of a part of the paths as those of the slow clock; paths keep their own time."""
    return replace(
        found,
        clock_mhz=found.clock_mhz / times,
        clock_mhz_low=found.clock_mhz_low / times,
        clock_mhz_high=found.clock_mhz_high / times,
    )


def _number(netlist, kind):
    return netlist.kinds.index(kind) if kind in netlist.kinds else -1
