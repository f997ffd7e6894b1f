"""A synthesised netlist, flat, as arrays: cells, their pins and the nets between them.

Yosys writes modules; arrays are made once for each module and copied for each of its instances.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from qnn.eda.timing.modules import Module, Numbers, arrays
from qnn.eda.timing.rewrite import rewritten

CONSTANTS = 2  # nets 0 and 1 are the constants
PORT = "PORT"


@dataclass(frozen=True, eq=False)
class Netlist:
    """Cells, pins and nets by number.

    Members
    -------
    kinds : names of the kinds of cells
    ports : names of pins with their index, such as ``S[3]``
    kind, table : (cells,) number of the kind; truth table of a LUT, or, of a block memory, 1 if
        port A has an output register and 2 if port B has one
    place : (cells,) number of the instance of a module that a cell is in
    pin_cell, pin_port, pin_net : (pins,) sorted by cell
    pin_out : (pins,) whether it is an output
    nets : how many there are; nets 0 and 1 are the constants

    Ports of the top module are cells too, of the kind ``PORT``: what stands behind them is taken to
    be a register.
    """

    kinds: tuple[str, ...]
    ports: tuple[str, ...]
    kind: np.ndarray
    table: np.ndarray
    place: np.ndarray
    pin_cell: np.ndarray
    pin_port: np.ndarray
    pin_net: np.ndarray
    pin_out: np.ndarray
    nets: int
    instances: tuple[tuple[str, "Module", int, int], ...]
    pin_local: np.ndarray

    @property
    def cells(self) -> int:
        """How many cells there are."""
        return len(self.kind)

    @cached_property
    def first_pin(self) -> np.ndarray:
        """(cells + 1,) where the pins of each cell begin."""
        return np.searchsorted(self.pin_cell, np.arange(self.cells + 1))

    @cached_property
    def driver(self) -> np.ndarray:
        """(nets,) the pin that drives each net, also of a port; -1 for constants."""
        driver = np.full(self.nets, -1)
        driver[self.pin_net[self.pin_out]] = np.flatnonzero(self.pin_out)
        driver[:CONSTANTS] = -1
        return driver

    @cached_property
    def by_net(self) -> tuple[np.ndarray, np.ndarray]:
        """All pins sorted by net, and where those of each net begin."""
        order = np.argsort(self.pin_net, kind="stable")
        return order, np.searchsorted(self.pin_net[order], np.arange(self.nets + 1))

    @cached_property
    def fan_out(self) -> np.ndarray:
        """(nets,) how many inputs each net goes to."""
        return np.bincount(self.pin_net[~self.pin_out], minlength=self.nets)

    def kind_of(self, cell: int) -> str:
        """The kind of a cell."""
        return self.kinds[self.kind[cell]]

    def cell_name(self, cell: int) -> str:
        """Where a cell is, and what synthesis calls it."""
        prefix, module, first, _ = self.instances[self.place[cell]]
        return prefix + module.cell_names[cell - first]

    def pin_name(self, pin: int) -> str:
        """The name of the signal at a pin, by the module that the pin's cell is in.

        A signal that synthesis made has no name of its own: then that of the cell.
        """
        cell = self.pin_cell[pin]
        prefix, module, _, _ = self.instances[self.place[cell]]
        name = module.net_names.get(int(self.pin_local[pin]))
        return prefix + name if name else ""


def read_netlist(written: Mapping, top: str, unused: bool = False) -> Netlist:
    """The flat netlist of module ``top`` in what Yosys's ``write_json`` gives.

    Parameters
    ----------
    unused : keep the inputs of a LUT6_2 on which a function does not depend
    """
    kinds, ports = Numbers(), Numbers()
    modules = {
        name: arrays(rewritten(module, unused), written["modules"], kinds, ports)
        for name, module in written["modules"].items()
    }
    directions = {
        name: port["direction"] for name, port in written["modules"][top]["ports"].items()
    }
    return _Flat(modules).netlist(top, directions, kinds, ports)


class _Flat:
    """Copies the arrays of modules for each instance."""

    def __init__(self, modules):
        self._modules = modules
        self._parts, self._instances, self._same = [], [], []
        self._nets, self._cells = CONSTANTS, 0

    def netlist(self, top, directions, kinds, ports):
        """All instances below ``top``, with joined nets as one."""
        module = self._modules[top]
        nets = self._add(module, "", {})
        self._add_ports(module, nets, directions, kinds, ports)
        columns = [np.concatenate(column) for column in zip(*self._parts, strict=True)]
        kind, table, place, cell, port, net, out, local = columns
        joined, count = self._joined()
        return Netlist(
            *(tuple(kinds), tuple(ports), kind, table, place, cell, port, joined[net], out),
            *(count, tuple(self._instances), local),
        )

    def _add_ports(self, module, nets, directions, kinds, ports):
        """A cell for each bit of a port: an input's has an output, and the other way round."""
        names, inner, out = [], [], []
        for name, bits in module.ports.items():
            single = len(bits) == 1
            names += [name if single else f"{name}[{n}]" for n in range(len(bits))]
            inner += bits
            out += [directions[name] == "input"] * len(bits)
        count, inner, out = len(names), np.array(inner, int), np.array(out, bool)
        first, place = self._cells, len(self._instances)
        own = dict(enumerate(names))
        edge = Module(*[np.zeros(0)] * 7, 0, names, own, {}, ())
        self._instances.append(("", edge, first, first + count))
        self._cells += count
        self._parts.append(
            (
                np.full(count, kinds[PORT]),
                np.zeros(count, np.uint64),
                np.full(count, place),
                first + np.arange(count),
                np.where(out, ports["Q"], ports["D"]),
                *(nets[inner], out, np.arange(count)),
            )
        )

    def _add(self, module, prefix, links):
        """The numbers of a module's nets, once its cells and those inside it are added."""
        nets = np.concatenate(
            [np.arange(CONSTANTS), np.arange(self._nets, self._nets + module.nets - CONSTANTS)]
        )
        self._nets += module.nets - CONSTANTS
        # A port is one net with two numbers until all instances are there.
        for port, outer in links.items():
            inner = nets[module.ports[port]]
            self._same.append((inner, np.array(outer, int)))
        first = self._cells
        self._cells += len(module.kind)
        place = np.full(len(module.kind), len(self._instances))
        self._instances.append((prefix, module, first, self._cells))
        self._parts.append(
            (
                *(module.kind, module.table, place, module.pin_cell + first, module.pin_port),
                *(nets[module.pin_net], module.pin_out, module.pin_net),
            )
        )
        for name, kind, inside in module.inside:
            outer = {port: nets[numbers] for port, numbers in inside.items()}
            self._add(self._modules[kind], f"{prefix}{name}.", outer)
        return nets

    def _joined(self):
        """The new number of each net, and how many there are: what a port joins is one net."""
        if not self._same:
            return np.arange(self._nets), self._nets
        one, other = (np.concatenate(side) for side in zip(*self._same, strict=True))
        # An input that is tied to a constant is that constant.
        links = coo_array((np.ones(len(one)), (one, other)), shape=(self._nets, self._nets))
        count, label = connected_components(links, directed=False)
        # Components are numbered by their least member: the constants keep 0 and 1.
        least = np.full(count, self._nets)
        np.minimum.at(least, label, np.arange(self._nets))
        order = np.empty(count, int)
        order[np.argsort(least)] = np.arange(count)
        return order[label], count
