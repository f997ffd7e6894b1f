"""A clock of twice the rate: half of the time for each path from or to it."""

import pytest

from qnn.eda.timing.flow import analyse
from qnn.eda.timing.netlist import read_netlist
from qnn.eda.timing.twice import clocked_twice
from tests.eda.timing.written import Written, design


def chain(clocks, gates, buffered=False):
    """Registers in a row, each of a clock, with so many LUTs before each."""
    made = Written()
    ports = {name: made.port(name, "input", [made.bit()])[0] for name in ("clk", "fast_clk")}
    edges = dict(ports)
    if buffered:
        edges["fast_clk"] = made.bit()
        made.cell("BUFG", None, None, I=ports["fast_clk"], O=edges["fast_clk"])
    bit = made.bit("first")
    made.register(bit, bit, edges[clocks[0]])
    for number, clock in enumerate(clocks[1:]):
        for _ in range(gates[number]):
            out = made.bit()
            made.lut(0b01, bit, out=out)
            bit = out
        state = made.bit(f"state_{number}")
        made.register(bit, state, edges[clock], name=f"register_{number}")
        bit = state
    return design(top=made)


def clock(written, **options):
    return analyse(written, "top", speed_grade="-2", **options).clock_mhz


@pytest.mark.parametrize("buffered", [False, True])
def test_registers_behind_the_fast_clock_are_found(buffered):
    netlist = read_netlist(chain(["clk", "fast_clk", "clk"], (1, 1), buffered), "top")
    fast = clocked_twice(netlist, "fast_clk")
    found = {netlist.cell_name(cell) for cell in fast.nonzero()[0]}
    assert {name for name in found if name.startswith("register")} == {"register_0"}


@pytest.mark.parametrize("kinds", [("clk", "fast_clk"), ("fast_clk", "clk"), ("fast_clk",) * 2])
def test_a_path_from_or_to_the_fast_clock_has_half_of_the_time(kinds):
    written = chain(kinds, (3,))
    assert clock(written, twice="fast_clk") == pytest.approx(clock(written) / 2)


def test_a_path_between_slow_registers_has_all_of_it():
    written = chain(["clk", "clk", "fast_clk"], (8, 1))
    assert clock(written, twice="fast_clk") == pytest.approx(clock(written))


def test_the_part_that_bounds_the_clock_is_told():
    found = analyse(
        chain(["clk", "clk", "fast_clk"], (1, 8)), "top", speed_grade="-2", twice="fast_clk"
    )
    assert found.paths[0].end == "state_1 D"


def test_a_port_that_is_not_there_is_refused():
    with pytest.raises(
        ValueError, match=r"^clocked_twice needs a port of the netlist, but it has "
    ):
        analyse(chain(["clk"], ()), "top", speed_grade="-2", twice="faster_clk")
