"""The arcs through cells: which inputs reach which outputs without a clock.

A constant that is wired to a pin stops what cannot pass it, as in the vendor's tool. Inputs of LUTs
that the truth table ignores are left out as well, unless ``unused`` asks for them: tools that keep
the pin connected may time it.
"""

import re

import numpy as np

from qnn.eda.timing.kinds import (
    CHAIN,
    LUT,
    LUT_MEMORY,
    MULTIPLEXER,
    SHIFT_REGISTER,
    WRITE_ONLY,
    depends,
)
from qnn.eda.timing.netlist import CONSTANTS, Netlist

LUT_INPUTS = ("I0", "I1", "I2", "I3", "I4", "I5")
SIGNAL = 2  # what a pin has that is neither constant 0 nor 1
HALF = (1 << 32) - 1  # entries of the truth table at O5
Arcs = tuple[np.ndarray, np.ndarray]  # pins from, pins to


def cell_arcs(netlist: Netlist, unused: bool = False) -> Arcs:
    """The pins from which and to which every arc of every cell leads.

    Parameters
    ----------
    unused : also from those inputs of LUTs that do not matter
    """
    found = []
    for number, kind in enumerate(netlist.kinds):
        cells = np.flatnonzero(netlist.kind == number)
        if len(cells) == 0:
            continue
        if LUT.fullmatch(kind):
            found.append(_lut_arcs(netlist, cells, unused))
        elif kind == "CARRY8":
            found.append(_carry_arcs(netlist, cells))
        elif MULTIPLEXER.fullmatch(kind):
            found.append(_all_arcs(netlist, cells, lambda one, other: True))
        elif SHIFT_REGISTER.fullmatch(kind) or LUT_MEMORY.fullmatch(kind):
            found.append(_all_arcs(netlist, cells, _reads))
    if not found:
        return np.zeros(0, int), np.zeros(0, int)
    starts, ends = (np.concatenate(side) for side in zip(*found, strict=True))
    # Neither constants nor outputs that nobody reads are part of a path.
    read = netlist.fan_out[netlist.pin_net[ends]] > 0
    kept = (netlist.pin_net[starts] >= CONSTANTS) & (netlist.pin_net[ends] >= CONSTANTS) & read
    return starts[kept], ends[kept]


def pins_of(netlist: Netlist, cells: np.ndarray, ports: list[str]) -> np.ndarray:
    """(cells, ports) the pin of each cell at each port; -1 where it has none."""
    number = {port: n for n, port in enumerate(netlist.ports)}
    column = np.full(len(netlist.ports), -1)
    for n, port in enumerate(ports):
        if port in number:
            column[number[port]] = n
    # A table of cells by ports, filled by all pins at once.
    row = np.full(netlist.cells, -1)
    row[cells] = np.arange(len(cells))
    found = np.full((len(cells), len(ports)), -1)
    of = (row[netlist.pin_cell] >= 0) & (column[netlist.pin_port] >= 0)
    pins = np.flatnonzero(of)
    found[row[netlist.pin_cell[pins]], column[netlist.pin_port[pins]]] = pins
    return found


def _lut_arcs(netlist, cells, unused):
    pins = pins_of(netlist, cells, [*LUT_INPUTS, "I", "O", "O5", "O6"])
    inputs, outputs = pins[:, :6], pins[:, 7:]
    # An inverter's only input counts as I0.
    inputs[:, 0] = np.where(pins[:, 6] >= 0, pins[:, 6], inputs[:, 0])
    nets = np.where(inputs >= 0, netlist.pin_net[inputs], -1)
    state = np.where((nets >= 0) & (nets < CONSTANTS), nets, SIGNAL)
    is_inverter = netlist.kind[cells] == (
        netlist.kinds.index("INV") if "INV" in netlist.kinds else -1
    )
    table = np.where(is_inverter, np.uint64(1), netlist.table[cells])
    count = (inputs >= 0).sum(1)
    # Few tables and constants differ among thousands of LUTs: each is looked at once.
    keys = np.column_stack([table.view(np.int64), state, count])
    unique, which = np.unique(keys, axis=0, return_inverse=True)
    which = which.reshape(-1)
    starts, ends = [], []
    for output, slot in enumerate(("O", "O5", "O6")):
        reach = np.array([_reach(key, slot, unused) for key in unique])[which]
        reach &= (inputs >= 0) & (outputs[:, output] >= 0)[:, None]
        cell, place = np.nonzero(reach)
        starts.append(inputs[cell, place])
        ends.append(outputs[cell, output])
    return np.concatenate(starts), np.concatenate(ends)


def _reach(key, output, unused):
    """Which of six inputs reach an output of a LUT whose constant inputs are known."""
    table, state, count = int(key[0]) & (1 << 64) - 1, key[1:7], int(key[7])
    used = min(count, 5) if output == "O5" else count
    if unused:
        return np.arange(6) < used
    if output == "O5":
        table &= HALF
    # O6 of six inputs, and O of as many as there are, read the whole table.
    for place in range(used):
        if state[place] != SIGNAL:
            table = _held(table, used, place, int(state[place]))
    return np.array([n < used and state[n] == SIGNAL and depends(table, used, n) for n in range(6)])


def _held(table, inputs, place, value):
    """The truth table as it is where one input has a value, over as many inputs."""
    step = 1 << place
    made = 0
    for entry in range(1 << inputs):
        source = (entry | step) if value else (entry & ~step)
        made |= (table >> source & 1) << entry
    return made


def _carry_arcs(netlist, cells):
    inputs = ["CI", *(f"S[{n}]" for n in range(CHAIN)), *(f"DI[{n}]" for n in range(CHAIN))]
    outputs = [f"{name}[{n}]" for name in ("O", "CO") for n in range(CHAIN)]
    pins = pins_of(netlist, cells, [*inputs, *outputs])
    state = np.where(pins >= 0, np.minimum(netlist.pin_net[pins], SIGNAL), 0)
    enter, select, data = state[:, 0], state[:, 1 : 1 + CHAIN], state[:, 1 + CHAIN : 1 + 2 * CHAIN]
    settled = _settled(enter, select, data)
    starts, ends = [], []

    def add(source, sink, some):
        kept = some & (pins[:, source] >= 0) & (pins[:, sink] >= 0)
        starts.append(pins[kept, source])
        ends.append(pins[kept, sink])

    for source, name in enumerate(inputs):
        first = 0 if name == "CI" else int(name[-2])
        # ``alive``: what leaves the source goes on as the carry into bit n.
        alive = np.ones(len(cells), bool)
        for n in range(first, CHAIN):
            o, co = len(inputs) + n, len(inputs) + CHAIN + n
            if name == "CI" or n > first:
                add(source, o, alive)
                # Where S is 0 the carry from below ends.
                alive = alive & (select[:, n] != 0)
            elif name.startswith("S"):
                add(source, o, alive)
                alive = alive & ~settled[:, n]
            else:
                alive = alive & (select[:, n] != 1)
            add(source, co, alive)
    return np.concatenate(starts), np.concatenate(ends)


def _settled(carry, select, data):
    """(cells, bits) whether S makes no difference: the carry from below and DI are one constant."""
    found = []
    for n in range(CHAIN):
        same = (carry == data[:, n]) & (carry < SIGNAL)
        found.append(same)
        chosen = np.where(select[:, n] == 0, data[:, n], carry)
        carry = np.where((select[:, n] < SIGNAL) | same, chosen, SIGNAL)
    return np.stack(found, axis=1)


def _all_arcs(netlist, cells, reaches):
    """Arcs of cells whose ports alone say what reaches what."""
    starts, ends = [], []
    mask = np.zeros(netlist.cells, bool)
    mask[cells] = True
    ports = np.unique(netlist.pin_port[mask[netlist.pin_cell]])
    names = [netlist.ports[port] for port in ports]
    pins = pins_of(netlist, cells, names)
    out = [_any_out(netlist, column) for column in pins.T]
    for one, source in enumerate(names):
        for other, sink in enumerate(names):
            if out[one] or not out[other] or not reaches(source, sink):
                continue
            kept = (pins[:, one] >= 0) & (pins[:, other] >= 0)
            starts.append(pins[kept, one])
            ends.append(pins[kept, other])
    return np.concatenate(starts), np.concatenate(ends)


def _any_out(netlist, column):
    used = column[column >= 0]
    return len(used) > 0 and bool(netlist.pin_out[used[0]])


def _reads(source, sink):
    """Whether an input of a memory in LUTs reaches an output: addresses of its own port do."""
    name, port = source.split("[")[0], sink.split("[")[0]
    if WRITE_ONLY.fullmatch(name) or name in ("CLK", "WCLK"):
        return False
    address, data = re.fullmatch(r"ADDR([A-H])", name), re.fullmatch(r"DO([A-H])", port)
    # Q31 and Q15 are the last bit of a shift register, whatever the address.
    return port not in ("Q31", "Q15") and (not address or not data or address[1] == data[1])
