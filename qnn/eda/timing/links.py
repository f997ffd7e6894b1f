"""What placing asks of a netlist, cell by cell: its kind, its nets, who reads them."""

from functools import cached_property

import numpy as np

from qnn.eda.timing.arcs import pins_of
from qnn.eda.timing.kinds import (
    CHAIN,
    FLIP_FLOP,
    LUT,
    LUT_MEMORY,
    MULTIPLEXER,
    PORT,
    SHIFT_REGISTER,
    is_clock,
)
from qnn.eda.timing.netlist import CONSTANTS, Netlist


class Links:
    """Nets of cells by the name of their port, and the cells at the other end.

    Parameters
    ----------
    netlist : of which it is
    """

    def __init__(self, netlist: Netlist):
        self.netlist = netlist
        self._nets = {}
        of_kind = [self._group(kind) for kind in netlist.kinds]
        self.group = np.array(of_kind)[netlist.kind]  # (cells,) one of the names below
        # Ports drive nets as cells do, constants do not.
        self.driver_cell = np.where(netlist.driver >= 0, netlist.pin_cell[netlist.driver], -1)

    @staticmethod
    def _group(kind):
        for name, pattern in (
            ("lut", LUT),
            ("ff", FLIP_FLOP),
            ("mux", MULTIPLEXER),
            ("shift", SHIFT_REGISTER),
            ("memory", LUT_MEMORY),
            ("port", PORT),
        ):
            if pattern.fullmatch(kind):
                return name
        return {"CARRY8": "carry", "RAMB36E2": "block", "RAMB18E2": "block", "DSP48E2": "dsp"}.get(
            kind, "other"
        )

    def of(self, group: str) -> np.ndarray:
        """The cells of a group."""
        return np.flatnonzero(self.group == group)

    def net(self, port: str) -> np.ndarray:
        """(cells,) the net at a port; -1 where a cell has no such port."""
        if port not in self._nets:
            cells = np.arange(self.netlist.cells)
            pin = pins_of(self.netlist, cells, [port])[:, 0]
            self._nets[port] = np.where(pin >= 0, self.netlist.pin_net[pin], -1)
        return self._nets[port]

    @cached_property
    def reader_pins(self) -> tuple[np.ndarray, np.ndarray]:
        """Input pins sorted by net, and where those of each net begin; clocks left out."""
        netlist = self.netlist
        clock = np.array([is_clock(port.split("[")[0]) for port in netlist.ports])
        pins = np.flatnonzero(~netlist.pin_out & ~clock[netlist.pin_port])
        order = pins[np.argsort(netlist.pin_net[pins], kind="stable")]
        return order, np.searchsorted(netlist.pin_net[order], np.arange(netlist.nets + 1))

    def readers(self, net: int) -> np.ndarray:
        """The input pins that a net goes to."""
        pins, first = self.reader_pins
        return pins[first[net] : first[net + 1]]

    @cached_property
    def lut_inputs(self) -> dict[int, frozenset]:
        """The nets that each LUT reads."""
        rows = np.stack([self.net(f"I{n}") for n in range(6)], axis=1)
        return {
            int(cell): frozenset(int(net) for net in rows[cell] if net >= CONSTANTS)
            for cell in self.of("lut")
        }

    @cached_property
    def control(self) -> tuple[np.ndarray, np.ndarray]:
        """(cells,) the nets that enable and that reset each flip-flop."""
        reset = np.maximum.reduce([self.net(port) for port in ("R", "S", "CLR", "PRE")])
        return self.net("CE"), reset

    @cached_property
    def registers(self) -> dict[int, list[int]]:
        """The flip-flops that take each net in."""
        found: dict[int, list[int]] = {}
        data = self.net("D")
        for cell in self.of("ff"):
            if data[cell] >= CONSTANTS:
                found.setdefault(int(data[cell]), []).append(int(cell))
        return found

    def carry_nets(self, name: str) -> np.ndarray:
        """(cells, 8) the nets of ``S``, ``DI``, ``O`` or ``CO``."""
        return np.stack([self.net(f"{name}[{n}]") for n in range(CHAIN)], axis=1)
