import numpy as np

from qnn.eda.timing.arcs import cell_arcs
from qnn.eda.timing.netlist import read_netlist
from tests.eda.timing.written import Written, design


def nets_of(netlist, name):
    """The nets at the pins of the cell of that name."""
    cell = next(n for n in range(netlist.cells) if netlist.cell_name(n) == name)
    span = range(netlist.first_pin[cell], netlist.first_pin[cell + 1])
    return {netlist.ports[netlist.pin_port[pin]]: int(netlist.pin_net[pin]) for pin in span}


def arcs_of(netlist, unused=False):
    """The arcs of all cells, as (cell, from, to)."""
    names = [
        (netlist.cell_name(netlist.pin_cell[pin]), netlist.ports[netlist.pin_port[pin]])
        for pin in range(len(netlist.pin_cell))
    ]
    return {
        (names[a][0], names[a][1], names[b][1])
        for a, b in zip(*cell_arcs(netlist, unused), strict=True)
    }


def test_instances_are_joined_at_their_ports():
    inner, outer = Written(), Written()
    (a,), (y,) = inner.port("a", "input", [inner.bit()]), inner.port("y", "output", [inner.bit()])
    inner.port("b", "input", [inner.bit()])
    inner.port("same", "output", [inner.ports["b"]["bits"][0]])  # a wire from port to port
    inner.lut(0b01, a, out=y, name="invert")
    first, second, last, through = (outer.bit(name) for name in ("p", "q", "r", "through"))
    outer.port("i", "input", [first])
    outer.cell("inner", "one", a=first, y=second, b="1", same=through)
    outer.cell("inner", "two", a=second, y=last, b=first, same=outer.bit())
    outer.lut(0b1000, last, through, out=outer.bit(), name="both")
    netlist = read_netlist(design(inner=inner, top=outer), "top")
    assert nets_of(netlist, "one.invert")["O"] == nets_of(netlist, "two.invert")["I0"]
    assert nets_of(netlist, "two.invert")["O"] == nets_of(netlist, "both")["I0"]
    # A constant that comes in by a port and leaves by another is one.
    assert nets_of(netlist, "both")["I1"] == 1
    assert netlist.kinds.count("PORT") == 1
    assert ("both", "I1", "O") not in arcs_of(netlist)


def test_signals_have_the_name_of_their_place():
    inner, outer = Written(), Written()
    (a,), y = inner.port("a", "input", [inner.bit()]), inner.bit("held")
    inner.port("y", "output", [y])
    inner.lut(0b01, a, out=y)
    outer.cell("inner", "core", a=outer.bit(), y=outer.bit())
    netlist = read_netlist(design(inner=inner, top=outer), "top")
    pin = int(np.flatnonzero(netlist.pin_out)[0])
    assert netlist.pin_name(pin) == "core.held"


def test_ports_of_the_top_are_cells():
    made = Written()
    word = made.port("word", "input", [made.bit(), made.bit()])
    out = made.port("out", "output", [made.bit()])[0]
    made.lut(0b0110, *word, out=out, name="xor")
    netlist = read_netlist(design(top=made), "top")
    assert nets_of(netlist, "word[1]") == {"Q": nets_of(netlist, "xor")["I1"]}
    assert nets_of(netlist, "out") == {"D": nets_of(netlist, "xor")["O"]}


def test_a_block_memory_says_which_outputs_have_registers():
    made = Written()
    for name, registers in (("none", {}), ("b", {"DOB_REG": "1"}), ("both", {"DOA_REG": "01"})):
        registers = registers | ({"DOB_REG": "1"} if name == "both" else {})
        made.cell("RAMB18E2", name, registers, DOUTADOUT=[made.bit()])
    netlist = read_netlist(design(top=made), "top")
    assert netlist.table.tolist() == [0, 2, 3]
