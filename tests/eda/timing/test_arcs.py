import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qnn.eda.timing.arcs import cell_arcs
from qnn.eda.timing.netlist import read_netlist
from tests.eda.timing.written import Written, design


def arcs(made, unused=False):
    """The arcs of the only cell, by port."""
    netlist = read_netlist(design(top=made), "top")
    names = [netlist.ports[port] for port in netlist.pin_port]
    return {(names[a], names[b]) for a, b in zip(*cell_arcs(netlist, unused), strict=True)}


@given(
    table=st.integers(0, (1 << 16) - 1),
    held=st.lists(st.sampled_from(["0", "1", ""]), min_size=4, max_size=4),
)
def test_a_lut_has_arcs_from_the_inputs_that_can_change_it(table, held):
    made = Written()
    inputs = [bit or made.bit() for bit in held]
    out = made.bit()
    made.lut(table, *inputs, out=out)
    made.port("out", "output", [out])
    free = [n for n, bit in enumerate(held) if not bit]
    matter = set()
    for values in itertools.product((0, 1), repeat=4):
        if all(held[n] in ("", str(values[n])) for n in range(4)):
            entry = sum(value << n for n, value in enumerate(values))
            matter |= {n for n in free if (table >> entry ^ table >> (entry ^ 1 << n)) & 1}
    assert arcs(made) == {(f"I{n}", "O") for n in matter}
    assert arcs(made, unused=True) == {(f"I{n}", "O") for n in free}


BITS = st.lists(st.sampled_from(["0", "1", ""]), min_size=8, max_size=8)


@given(select=BITS, data=BITS, left=st.lists(st.sampled_from(["O", "CO"]), min_size=8, max_size=8))
def test_a_carry_chain_has_arcs_from_the_inputs_that_can_change_it(select, data, left):
    made = Written()
    pins = {
        "S": [bit or made.bit() for bit in select],
        "DI": [bit or made.bit() for bit in data],
        "CI": made.bit(),
    }
    outs = {name: [made.bit() for _ in range(8)] for name in ("O", "CO")}
    made.cell("CARRY8", None, None, **pins, **outs)
    # A slice has one way out for a sum and its carry.
    made.port("out", "output", [outs[name][n] for n, name in enumerate(left)])
    ways = {f"{name}[{n}]" for n, name in enumerate(left)}
    assert arcs(made) == {(pin, out) for pin, out in _changes(select, data) if out in ways}


def _changes(select, data):
    """Which inputs change which outputs for some values of the others, of many tried at once."""
    generator = np.random.default_rng(0)
    count = 20_000
    free = {
        name: generator.integers(0, 2, count)
        for name in ("CI", *(f"{pin}[{n}]" for pin in ("S", "DI") for n in range(8)))
    }
    for n in range(8):
        for pin, bits in (("S", select), ("DI", data)):
            if bits[n]:
                free[f"{pin}[{n}]"] = np.full(count, int(bits[n]))
    # Long runs of ones in S carry what comes from far below.
    for n in range(8):
        if not select[n]:
            free[f"S[{n}]"][: count // 2] = generator.random(count // 2) < 0.9
    found = set()
    plain = _outputs(free)
    for name in free:
        varies = name == "CI" or not (select if name[0] == "S" else data)[int(name[-2])]
        if varies:
            other = _outputs(free | {name: 1 - free[name]})
            found |= {(name, out) for out in plain if (plain[out] != other[out]).any()}
    return found


def _outputs(values):
    carry, outs = values["CI"], {}
    for n in range(8):
        select, data = values[f"S[{n}]"], values[f"DI[{n}]"]
        outs[f"O[{n}]"] = select ^ carry
        carry = np.where(select, carry, data)
        outs[f"CO[{n}]"] = carry
    return outs


def test_memories_in_luts_are_read_without_a_clock_and_written_with_one():
    made = Written()
    outs = {name: [made.bit(), made.bit()] for name in ("DOA", "DOB")}
    clock, write = made.bit(), made.bit()
    addresses = {f"ADDR{port}": [made.bit() for _ in range(5)] for port in "ABH"}
    data = {"DIA": [made.bit(), made.bit()]}
    made.cell("RAM32M16", None, None, WCLK=clock, WE=write, **addresses, **data, **outs)
    made.port("out", "output", [*outs["DOA"], *outs["DOB"]])
    assert arcs(made) == {
        (f"ADDR{port}[{n}]", f"DO{port}[{bit}]")
        for port in "AB"
        for n in range(5)
        for bit in (0, 1)
    }
