"""Where timed paths begin and end in a netlist, and the graph between."""

from dataclasses import dataclass

import numpy as np

from qnn.eda.timing.arcs import cell_arcs
from qnn.eda.timing.graph import PinGraph
from qnn.eda.timing.kinds import LUT_MEMORY, SHIFT_REGISTER, WRITE_ONLY, is_clock, is_clocked
from qnn.eda.timing.netlist import CONSTANTS, Netlist


@dataclass(frozen=True, eq=False)
class Timed:
    """A netlist's arcs: those of cells first, then those of nets.

    Members
    -------
    cell_arcs : how many arcs are of cells
    starts : pins that a clock edge gives a value: outputs of clocked cells
    ends : pins that must be steady before the edge: inputs of clocked cells
    """

    netlist: Netlist
    graph: PinGraph
    cell_arcs: int
    starts: np.ndarray
    ends: np.ndarray


def timed(netlist: Netlist, unused: bool = False) -> Timed:
    """The graph of a netlist; ``unused`` is that of ``cell_arcs``.

    Raises
    ------
    ValueError
        The cells form a loop without a register.
    """
    sources, sinks = cell_arcs(netlist, unused)
    clocked = np.array([is_clocked(kind) for kind in netlist.kinds])[netlist.kind]
    # The clock's own net has no delay here: skew between slices is some 0.01 ns in the reports.
    clock = np.array([is_clock(port.split("[")[0]) for port in netlist.ports])
    live = netlist.pin_net >= CONSTANTS
    inputs = np.flatnonzero(~netlist.pin_out & live & ~clock[netlist.pin_port])
    # What nothing drives, such as an open input, is not timed.
    drivers = netlist.driver[netlist.pin_net[inputs]]
    inputs, drivers = inputs[drivers >= 0], drivers[drivers >= 0]
    graph = PinGraph(
        len(netlist.pin_net),
        np.concatenate([sources, drivers]),
        np.concatenate([sinks, inputs]),
    )
    # A memory in LUTs begins paths by its clock, too, and lets addresses through.
    own = clocked[netlist.pin_cell]
    starts = np.flatnonzero(own & netlist.pin_out & (netlist.fan_out[netlist.pin_net] > 0))
    return Timed(netlist, graph, len(sources), starts, inputs[own[inputs] & _held(netlist, inputs)])


def _held(netlist, pins):
    """Whether a clocked cell's inputs must be steady: those of memories in LUTs only if written."""
    reads = [
        bool(SHIFT_REGISTER.fullmatch(kind) or LUT_MEMORY.fullmatch(kind)) for kind in netlist.kinds
    ]
    writes = [
        bool(WRITE_ONLY.fullmatch(name) or name == "ADDRH")
        for name in (port.split("[")[0] for port in netlist.ports)
    ]
    memory = np.array(reads)[netlist.kind[netlist.pin_cell[pins]]]
    return ~memory | np.array(writes)[netlist.pin_port[pins]]
