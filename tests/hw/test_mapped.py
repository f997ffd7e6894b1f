from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.cells import Function, Net
from hw.pe import ProcessingElement
from hw.spec.config import SvpeConfig, named_config
from hw.verilog import files, mapped_element, verilog
from qnn.bench import array
from qnn.eda.equivalence import compare
from qnn.eda.synthesis import synthesize

NAME = "qnn_pe"


def config(**sizes):
    return SvpeConfig(rows=1, columns=1, **sizes)


def element(config, *, mapped):
    return files(ProcessingElement(config), NAME, mapped=mapped)[f"{NAME}.v"]


def registers(config):
    """Bits that must be compared: of every register, some of which are outputs."""
    return synthesize({f"{NAME}.v": element(config, mapped=True)}, NAME).ff


KINDS = [
    *(("shift", n, a) for n, a in product((2, 3, 4, 5), (4, 8, 16))),
    *(("multiply", n, a) for n, a in ((3, 8), (8, 8))),
    *(("multiply_lut", n, a) for n, a in ((2, 4), (3, 8), (4, 8), (5, 8), (8, 8), (16, 16))),
]


@pytest.mark.rtl
@pytest.mark.parametrize(("pe", "weight_bits", "activation_bits"), KINDS)
def test_cells_are_proved_equal_to_words(pe, weight_bits, activation_bits):
    made = config(lanes=4, pe=pe, weight_bits=weight_bits, activation_bits=activation_bits)
    proved, open_ = compare(element(made, mapped=False), element(made, mapped=True), NAME)
    assert open_ == 0
    assert proved > made.accumulator_bits + made.feature_bits


@pytest.mark.rtl
@pytest.mark.slow
@pytest.mark.parametrize("config_", [c for c in array.configs() if c.weight_bits < 16], ids=str)
def test_every_element_that_is_measured_is_proved(config_):
    _, open_ = compare(element(config_, mapped=False), element(config_, mapped=True), NAME)
    assert open_ == 0


@pytest.mark.rtl
@pytest.mark.parametrize("lanes", [2, 8, 16, 32])
@pytest.mark.parametrize("weight_bits", [3, 4])
def test_any_number_of_lanes_is_proved(lanes, weight_bits):
    made = config(lanes=lanes, weight_bits=weight_bits)
    _, open_ = compare(element(made, mapped=False), element(made, mapped=True), NAME)
    assert open_ == 0


def test_every_register_is_compared():
    made = config(lanes=4)
    proved, _ = compare(element(made, mapped=False), element(made, mapped=True), NAME)
    assert proved == registers(made)


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (r".INIT(64'h", r".INIT(64'h1 ^ 64'h"),  # one entry of the first table
        (".CI(", ".CI(1'h1 ^ "),  # a carry
    ],
)
@pytest.mark.parametrize("kind", [{}, {"weight_bits": 5}, {"pe": "multiply_lut", "weight_bits": 8}])
def test_a_planted_fault_is_not_proved(kind, good, bad):
    made = config(lanes=4, **kind)
    cells = element(made, mapped=True)
    assert good in cells
    _, open_ = compare(element(made, mapped=False), cells.replace(good, bad, 1), NAME)
    assert open_ > 0


def test_the_mapped_element_is_the_one_file_that_differs():
    made = named_config("test")
    words, cells = verilog(made), verilog(made, mapped=True)
    assert {name for name in cells if cells[name] != words[name]} == {f"{NAME}.v"}
    assert cells[f"{NAME}.v"] == mapped_element(made)[f"{NAME}.v"]


@given(table=st.integers(0, (1 << 16) - 1), order=st.permutations(range(4)))
@settings(deadline=None)
def test_a_function_keeps_its_values_over_any_nets_that_have_its_own(table, order):
    wires = [Net((n, 0)) for n in range(4)]
    function = Function.of(lambda a, b, c, d: table >> (a + 2 * b + 4 * c + 8 * d) & 1, *wires)
    over = function.over([wires[n] for n in order])
    for number in range(16):
        values = {wire: number >> place & 1 for place, wire in enumerate(wires[n] for n in order)}
        wanted = table >> sum(values[wire] << n for n, wire in enumerate(wires)) & 1
        assert over >> number & 1 == wanted


def test_a_function_forgets_what_does_not_matter():
    a, b, c = (Net((n, 0)) for n in range(3))
    assert Function.of(lambda a, b, c: a ^ (b and c), a, b, 0).nets == (a,)
    assert Function.of(lambda a, b, c: a ^ b ^ c, a, c, c).nets == (a,)
    assert Function.of(lambda a, b: a | b, a, b) == Function((a, b), 0b1110)
