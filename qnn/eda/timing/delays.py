"""The delay of every arc of a placed netlist, from the tables of cells and the model of nets."""

import re

import numpy as np

from qnn.eda.timing.cells import CellDelays
from qnn.eda.timing.kinds import BLOCK_MEMORY, CHAIN, LUT, LUT_MEMORY, MULTIPLEXER, SHIFT_REGISTER
from qnn.eda.timing.netlist import PORT
from qnn.eda.timing.nets import Nets
from qnn.eda.timing.pins import CHAINS, DIRECT, PinKind
from qnn.eda.timing.placement import CellPlacement
from qnn.eda.timing.timed import Timed

REGISTER = "FDRE"  # what stands behind a port
ENDS = {"D": PinKind.FF_D, "CE": PinKind.FF_CE}  # of flip-flops; all others reset


class Delays:
    """Delays of a netlist's arcs, and of what is before and behind them.

    Parameters
    ----------
    timed : the netlist's graph
    speed_grade : "-1" or "-2"

    Members
    -------
    cell : (cell arcs,) ns
    begin : (pins,) clock to output where paths begin; -inf elsewhere
    setup : (ends,) of the pins ``timed.ends``
    """

    def __init__(self, timed: Timed, speed_grade: str):
        self.timed = timed
        self.cells, self.nets = CellDelays.load(speed_grade), Nets.load(speed_grade)
        netlist, graph = timed.netlist, timed.graph
        count = timed.cell_arcs
        self.cell = self._arcs(graph.start[:count], graph.end[:count])
        self.begin = np.full(graph.pins, -np.inf)
        self.begin[timed.starts] = self._each(timed.starts, self._clock_to_out, tabled=True)
        self.setup = self._each(timed.ends, self._setup)
        chained = (0, 1, 1, PinKind.CARRY_OUT, PinKind.CARRY_CI, True)
        self._chained = float(self.nets.delay(*chained))
        self._entry = self.cells.arc("CARRY8", "DI[7]", "CO[7]")
        self._source, self._sink = graph.start[count:], graph.end[count:]
        self._from = self._each(self._source, _source_pin, dtype=int)
        self._to = self._each(self._sink, _sink_pin, dtype=int)
        self._fan_out = netlist.fan_out[netlist.pin_net[self._source]]
        self._lane_of = self._each(self._sink, _lane_of_pin, dtype=int)
        self._from_lane = self._each(self._source, _lane_of_pin, dtype=int)

    def _arcs(self, start, end):
        """The time of each arc of a cell; equal arcs are looked up once."""
        netlist = self.timed.netlist
        kind = netlist.kind[netlist.pin_cell[start]]
        ports = len(netlist.ports)
        key = (kind * ports + netlist.pin_port[start]) * ports + netlist.pin_port[end]
        # A number for each kind and pair of ports, of which a core has some hundreds.
        unique, which = np.unique(key, return_inverse=True)
        times = [
            self.cells.arc(
                netlist.kinds[each // ports // ports],
                netlist.ports[each // ports % ports],
                netlist.ports[each % ports],
            )
            for each in unique
        ]
        return np.array(times, float)[which]

    def _each(self, pins, rule, dtype=float, tabled=False):
        """What ``rule`` says of each pin by the kind of its cell and its port."""
        netlist = self.timed.netlist
        cells = netlist.pin_cell[pins]
        table = netlist.table[cells].astype(int) if tabled else np.zeros(len(pins), int)
        # Of a LUT the table does not matter here.
        table[table > 3] = 0
        ports = len(netlist.ports)
        key = (netlist.kind[cells] * ports + netlist.pin_port[pins]) * 4 + table
        unique, which = np.unique(key, return_inverse=True)
        found = [
            rule(netlist.kinds[each // 4 // ports], netlist.ports[each // 4 % ports], each % 4)
            for each in unique
        ]
        return np.array(found, dtype)[which]

    def _clock_to_out(self, kind, port, table):
        if kind == PORT:
            return self.cells.clock_to_out(REGISTER, port)
        if BLOCK_MEMORY.fullmatch(kind):
            second = re.match("DOUTP?B", port) is not None
            return self.cells.clock_to_out(kind, port, registered=bool(table >> second & 1))
        return self.cells.clock_to_out(kind, port)

    def _setup(self, kind, port, _table):
        return self.cells.setup(REGISTER if kind == PORT else kind, port)

    def wires(self, placement: CellPlacement) -> tuple[np.ndarray, np.ndarray]:
        """(net arcs,) ns of every net to each of its readers, and the fabric's part of it.

        What passes a LUT that is no cell of the netlist, on its way to a carry chain or to a
        multiplexer, takes that LUT's time as well.
        """
        netlist = self.timed.netlist
        one, other = netlist.pin_cell[self._source], netlist.pin_cell[self._sink]
        step = placement.at[other] - placement.at[one]
        # What has no place yet is taken to be at the same one.
        step = np.nan_to_num(step)
        here = (step == 0).all(1)
        same = self._lane(placement, one, self._from_lane) == self._lane(
            placement, other, self._lane_of
        )
        source = np.where(
            (self._from == PinKind.LUT_O6) & placement.second[one], int(PinKind.LUT_O5), self._from
        )
        direct = _joined(source, self._to, here, same, step)
        # Nothing else reaches S, or a multiplexer's data: the lane's LUT passes the net on.
        through = np.isin(self._to, (PinKind.CARRY_S, PinKind.MUX_IN)) & ~direct
        sink = np.where(through, int(PinKind.LUT), self._to)
        alone = self.nets.delay(step[:, 0], step[:, 1], self._fan_out, source, sink, direct)
        more = through * self.cells.arc("LUT1", "I0", "O")
        # Where pin X of the first lane is taken, a chain begins in the slice below.
        entered = (self._to == PinKind.CARRY_CI) & placement.entered[other]
        more = more + entered * (self._entry + self._chained)
        return alone + more, np.where(direct, 0.0, alone)

    def _lane(self, placement, cells, own):
        """The lane of a pin: of a carry chain that of the bit, else that of the cell."""
        return np.where(own >= 0, own, placement.lane[cells])

    def longest(self, wires: np.ndarray) -> np.ndarray:
        """(pins,) the latest time after the edge at which each pin changes."""
        return self.timed.graph.longest(np.concatenate([self.cell, wires]), self.begin)


def _joined(source, sink, here, same, step):
    """Which nets a slice or a column joins without wires of the fabric."""
    found = np.zeros(len(source), bool)
    for (begin, end), lane in DIRECT.items():
        found |= (source == begin) & (sink == end) & here & (same | (not lane))
    above = (step[:, 0] == 0) & (step[:, 1] == 1)
    for begin, end in CHAINS:
        chained = (source == begin) & (sink == end)
        found |= chained & (above | (begin == PinKind.DSP))
    return found


def _source_pin(kind, port, _table):
    if LUT.fullmatch(kind) or LUT_MEMORY.fullmatch(kind) or SHIFT_REGISTER.fullmatch(kind):
        return PinKind.LUT_O6
    if kind == "CARRY8":
        return PinKind.CARRY_OUT
    if MULTIPLEXER.fullmatch(kind):
        return PinKind.MUX_OUT
    if BLOCK_MEMORY.fullmatch(kind):
        return PinKind.BLOCK_RAM
    return PinKind.DSP if kind == "DSP48E2" else PinKind.FF_Q


def _sink_pin(kind, port, _table):
    if LUT.fullmatch(kind):
        return PinKind.LUT
    if kind == "CARRY8":
        name = port.split("[")[0]
        return {"CI": PinKind.CARRY_CI, "S": PinKind.CARRY_S}.get(name, PinKind.CARRY_DI)
    if MULTIPLEXER.fullmatch(kind):
        return PinKind.MUX_SELECT if port == "S" else PinKind.MUX_IN
    if BLOCK_MEMORY.fullmatch(kind):
        return PinKind.BLOCK_RAM
    if kind == "DSP48E2":
        return PinKind.DSP
    if LUT_MEMORY.fullmatch(kind) or SHIFT_REGISTER.fullmatch(kind):
        return PinKind.RAM_IN
    return ENDS.get(port, PinKind.FF_SR)


def _lane_of_pin(kind, port, _table):
    """The lane of a carry chain's bit, or -1."""
    bit = re.fullmatch(r"\w+\[(\d+)\]", port)
    return int(bit[1]) % CHAIN if kind == "CARRY8" and bit else -1
