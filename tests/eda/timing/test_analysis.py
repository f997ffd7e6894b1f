"""Netlists so small that their timing is a sum on paper."""

import dataclasses

import numpy as np
import pytest

from qnn.eda.timing import cells as tables
from qnn.eda.timing.analysis import UNCERTAINTY_NS, Analysis
from qnn.eda.timing.cells import CellDelays
from qnn.eda.timing.delays import Delays
from qnn.eda.timing.flow import analyse
from qnn.eda.timing.netlist import read_netlist
from qnn.eda.timing.nets import Nets
from qnn.eda.timing.pins import PinKind
from qnn.eda.timing.placement import CellPlacement
from qnn.eda.timing.timed import timed
from tests.eda.timing.written import Written, design, drawn

GRADE = "-1"
CELLS, NETS = CellDelays.load(GRADE), Nets.load(GRADE)


def wire(dx, dy, fan_out, source, sink, direct=False):
    return float(NETS.delay(dx, dy, fan_out, source, sink, direct))


def registers_around(*bits):
    """A register in front of a chain of LUTs and one behind it, in one module."""
    made = Written()
    clock, first = made.port("clk", "input", [made.bit()])[0], made.bit("first")
    made.register("0", first, clock, name="begin")
    bit = first
    for n in range(*bits):
        out = made.bit(f"step_{n}")
        made.lut(0b10, bit, out=out, name=f"lut_{n}")
        bit = out
    made.register(bit, made.bit("last[0]"), clock, name="end")
    return made


def at_places(made, places, lanes=None):
    """The analysis of a netlist whose cells stand where ``places`` says, by name."""
    netlist = read_netlist(design(top=made), "top")
    names = {netlist.cell_name(cell): cell for cell in range(netlist.cells)}
    placement = CellPlacement.empty(netlist.cells)
    placement.at[:] = 0
    for name, place in places.items():
        placement.at[names[name]] = place
    for name, lane in (lanes or {}).items():
        placement.lane[names[name]] = lane
    delays = Delays(timed(netlist), GRADE)
    return Analysis(delays, placement), delays, placement


def test_a_path_is_the_sum_of_its_parts():
    places = {"begin": (50, 10), "lut_0": (53, 14), "lut_1": (53, 10), "end": (60, 10)}
    analysis, _, _ = at_places(registers_around(0, 2), places)
    found = analysis.timing("device", GRADE, {})
    cell = CELLS.arc("LUT1", "I0", "O")
    cells = CELLS.clock_to_out("FDRE", "Q") + 2 * cell
    nets = (
        wire(3, 4, 1, PinKind.FF_Q, PinKind.LUT)
        + wire(0, -4, 1, PinKind.LUT_O6, PinKind.LUT)
        + wire(7, 0, 1, PinKind.LUT_O6, PinKind.FF_D)
    )
    nets *= float(NETS.along(nets))
    setup = CELLS.setup("FDRE", "D")
    total = cells + nets + setup + UNCERTAINTY_NS
    (path,) = found.paths
    assert (path.begin, path.end, path.levels) == ("first", "last[0] D", 2)
    assert path.ns == pytest.approx(total)
    assert (path.cells_ns, path.nets_ns, path.setup_ns) == pytest.approx((cells, nets, setup))
    assert [hop.name for hop in path.hops[::2]] == ["first", "step_0", "step_1"]
    assert [hop.distance for hop in path.hops[1::2]] == [7, 4, 7]
    assert found.clock_mhz == pytest.approx(1e3 / total)
    late = (cells + nets) * NETS.model.path_high + setup + UNCERTAINTY_NS
    assert found.clock_mhz_low == pytest.approx(1e3 / late)
    assert found.clock_mhz_low < found.clock_mhz < found.clock_mhz_high


def test_a_register_in_the_lane_of_its_lut_needs_no_wire():
    places = {"begin": (50, 10), "lut_0": (53, 14), "end": (53, 14)}
    lanes = {"lut_0": 3, "end": 3}
    joined, _, _ = at_places(registers_around(0, 1), places, lanes)
    apart, _, _ = at_places(registers_around(0, 1), places, lanes | {"end": 4})
    direct = wire(0, 0, 1, PinKind.LUT_O6, PinKind.FF_D, direct=True)
    fabric = wire(0, 0, 1, PinKind.LUT_O6, PinKind.FF_D)
    first = wire(3, 4, 1, PinKind.FF_Q, PinKind.LUT)
    # What is not in the fabric does not share the fate of the path's nets.
    short, long = first * NETS.along(first), (first + fabric) * NETS.along(first + fabric)
    assert apart.need.max() - joined.need.max() == pytest.approx(long - short - direct)


def chain(made, clock, bits, name):
    """A carry chain of LUTs in front, with a register at its last sum."""
    carry = "0"
    for start in range(0, bits, 8):
        outs = {pin: [made.bit() for _ in range(8)] for pin in ("O", "CO")}
        select, sources = ([made.bit() for _ in range(8)] for _ in range(2))
        for source, bit in zip(sources, select, strict=True):
            made.register("0", source, clock)
            made.lut(0b10, source, out=bit)
        pins = {"S": select, "DI": sources, "CI": carry, "CI_TOP": "0"}
        made.cell("CARRY8", f"{name}_{start // 8}", None, **pins, **outs)
        carry = outs["CO"][7]
    made.register(outs["O"][7], made.bit(f"{name}_sum"), clock)


def test_a_chain_goes_from_slice_to_slice_by_its_own_wire():
    made = Written()
    chain(made, made.port("clk", "input", [made.bit()])[0], 24, "add")
    netlist = read_netlist(design(top=made), "top")
    delays = Delays(timed(netlist), GRADE)
    placement = CellPlacement.empty(netlist.cells)
    placement.at[:] = 0
    for cell in range(netlist.cells):
        if netlist.kind_of(cell) == "CARRY8":
            placement.at[cell] = 40, 10 + int(netlist.cell_name(cell)[-1])
    (path, *_) = Analysis(delays, placement).worst(1)
    kinds = [hop.kind.split(" ", 1)[1] for hop in path.hops if hop.kind.startswith("CARRY8")]
    assert [kind.split()[-1] for kind in kinds] == ["CO[7]", "CO[7]", "O[7]"]
    assert kinds[1:] == ["CI to CO[7]", "CI to O[7]"]
    into = zip(path.hops, path.hops[1:], strict=False)
    between = [net.ns for net, cell in into if cell.kind.startswith("CARRY8 CI")]
    assert between == pytest.approx(
        [wire(0, 1, 1, PinKind.CARRY_OUT, PinKind.CARRY_CI, direct=True)] * 2
    )
    assert path.levels == 4


def test_a_slower_cell_gives_a_slower_clock(monkeypatch):
    written = drawn(5, 40)
    before = analyse(written, "top", speed_grade=GRADE)
    arcs = tables._tables(GRADE)
    slower = tuple((*arc[:3], arc[3] * 1.5, arc[4]) for arc in arcs.arcs)
    monkeypatch.setattr(tables, "_tables", lambda _: dataclasses.replace(arcs, arcs=slower))
    after = analyse(written, "top", speed_grade=GRADE)
    assert after.clock_mhz_high < before.clock_mhz_high
    assert after.clock_mhz_low < before.clock_mhz_low


def test_grade_2_is_faster():
    slow, fast = (analyse(drawn(5, 40), "top", speed_grade=grade) for grade in ("-1", "-2"))
    assert fast.clock_mhz_low > slow.clock_mhz_low * 1.1


def test_inputs_that_do_not_matter_are_timed_on_request():
    made = Written()
    clock = made.port("clk", "input", [made.bit()])[0]
    first, second, third = made.bit("first"), made.bit(), made.bit()
    made.register("0", first, clock)
    made.lut(0b10, first, out=second)
    # Only the first of these two inputs matters.
    other = made.bit()
    made.register("0", other, clock)
    made.lut(0b1010, other, second, out=third)
    made.register(third, made.bit("last"), clock)
    written = design(top=made)
    short = analyse(written, "top", speed_grade=GRADE)
    long = analyse(written, "top", speed_grade=GRADE, unused=True)
    assert (short.paths[0].levels, long.paths[0].levels) == (1, 2)


def test_criticality_is_1_on_the_worst_path_alone():
    made = registers_around(0, 3)
    made.register(made.names["step_0"]["bits"][0], made.bit("early"), 2, name="side")
    places = {"begin": (50, 10), "lut_2": (70, 10), "end": (80, 10)}
    analysis, delays, _ = at_places(made, places)
    late = analysis.lateness()
    critical = late.critical
    assert late.worst_ns == analysis.need.max()
    assert late.mean_ns <= late.worst_ns
    netlist = delays.timed.netlist
    on_path = {
        netlist.cell_name(netlist.pin_cell[pin]) for pin in np.flatnonzero(critical > 1 - 1e-9)
    }
    assert on_path == {"begin", "lut_0", "lut_1", "lut_2", "end"}
    side = [netlist.cell_name(cell) == "side" for cell in netlist.pin_cell]
    assert 0 < critical[side].max() < 0.9


def test_words_of_many_bits_are_one_path():
    made, clock = Written(), 2
    for n in range(5):
        first, out = made.bit(f"from[{n}]"), made.bit()
        made.register("0", first, clock)
        made.lut(0b01, first, out=out)
        made.register(out, made.bit(f"to[{n}]"), clock)
    netlist = read_netlist(design(top=made), "top")
    placement = CellPlacement.empty(netlist.cells)
    placement.at[:] = 0
    (path,) = Analysis(Delays(timed(netlist), GRADE), placement).worst(20)
    assert path.alike == 4
