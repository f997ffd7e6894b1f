import json
from pathlib import Path

import pytest

from qnn.eda.timing import make_cells
from qnn.eda.timing.cells import CHECK, CellDelays
from qnn.eda.timing.paths import read_paths
from qnn.errors import ArgumentError

GRADES = ("-1", "-2")


@pytest.fixture(params=GRADES)
def cells(request):
    return CellDelays.load(request.param)


def arcs(grade):
    return {tuple(arc[:3]): arc[3] for arc in CellDelays.load(grade).tables.arcs}


def test_both_grades_have_the_same_arcs():
    assert arcs("-1").keys() == arcs("-2").keys()


@pytest.mark.parametrize("grade", GRADES)
def test_every_delay_is_a_time(grade):
    assert all(0 < ns < 2 for (_, _, end), ns in arcs(grade).items() if end != CHECK)


def test_no_delay_of_the_faster_grade_is_longer():
    slow, fast = arcs("-1"), arcs("-2")
    assert [arc for arc in slow if arc[2] != CHECK and fast[arc] > slow[arc]] == []


def test_every_arc_names_its_source(cells):
    assert {arc[-1] for arc in cells.tables.arcs} == set(cells.tables.sources)


@pytest.mark.parametrize("output", ["O", "O5"])
def test_an_input_whose_place_is_not_known_is_a_mean(cells, output):
    places = ["A1", "A2", "A3", "A4", "A5"] + (["A6"] if output == "O" else [])
    each = [cells.arc("LUT6_2", place, output) for place in places]
    assert each == sorted(each, reverse=True)
    assert each[-1] < cells.arc("LUT6_2", "I0", output) < each[0]


def test_a_carry_never_comes_before_what_it_is_made_of(cells):
    for last in range(8):
        for first in range(last):
            near = cells.arc("CARRY8", f"S[{first + 1}]", f"O[{last}]")
            # 12 ps: bits in the middle of a slice are not all alike.
            assert cells.arc("CARRY8", f"S[{first}]", f"O[{last}]") > near - 0.012


def test_an_output_register_is_faster_than_the_memory(cells):
    for pin in ("DOUTADOUT[3]", "DOUTBDOUT[31]", "DOUTPADOUTP[0]"):
        plain = cells.clock_to_out("RAMB36E2", pin)
        assert cells.clock_to_out("RAMB18E2", pin, registered=True) < plain / 3


@pytest.mark.parametrize(
    ("cell", "pins"),
    [
        ("FDRE", ("D", "CE", "R")),
        ("FDSE", ("S",)),
        ("FDCE", ("CLR",)),
        ("FDPE", ("PRE",)),
        ("RAM64M8", ("WE", "DIA", "ADDRH[5]")),
        ("RAM32M16", ("ADDRH[0]",)),
        ("SRL16E", ("D", "CE")),
        ("RAMB36E2", ("ADDRARDADDR[3]", "DINBDIN[1]", "ENARDEN", "WEBWE[0]", "REGCEB")),
        ("DSP48E2", ("A[3]", "B[0]", "RSTP")),
    ],
)
def test_the_pins_of_a_netlist_have_a_set_up(cells, cell, pins):
    for pin in pins:
        assert -0.1 < cells.setup(cell, pin) < 0.6


@pytest.mark.parametrize(
    ("cell", "pin"),
    [("FDRE", "Q"), ("SRLC32E", "Q31"), ("RAM64X1D", "DPO"), ("DSP48E2", "P[47]")],
)
def test_what_a_clock_drives_has_a_delay(cells, cell, pin):
    assert 0.05 < cells.clock_to_out(cell, pin) < 0.5


def test_refusals_name_what_is_asked():
    cells = CellDelays.load("-1")
    with pytest.raises(ArgumentError) as refused:
        cells.arc("CARRY8", "S[5]", "O[2]")
    assert str(refused.value) == (
        "the tables of speed grade -1 need an arc of CARRY8 from S[5] to O[2], but have none; take "
        "another pin"
    )
    with pytest.raises(ArgumentError) as refused:
        cells.setup("TRELLIS_FF", "D")
    assert str(refused.value) == (
        "timing knows cells of UltraScale+, as LUT6 or CARRY8, not 'TRELLIS_FF'; synthesise for it"
    )
    with pytest.raises(ArgumentError) as refused:
        CellDelays.load("-3")
    assert str(refused.value) == (
        "speed grade needs to be one of -1, -2, not '-3'; take the one of your device"
    )


def test_the_public_files_give_the_tables(timing_data):
    paths = [p for p in read_paths(timing_data / "routed_paths.jsonl.gz") if p.speed == "-1"]
    for grade, text in make_cells.texts(timing_data, paths).items():
        held = Path(make_cells.__file__).parent / "data" / f"cells_{grade[1:]}.json"
        assert json.loads(text) == json.loads(held.read_text())
