from itertools import product

import pytest

from hw.array import PE
from hw.cells import Function, Net
from hw.maxima import MAXIMA, Maxima
from hw.pe import ProcessingElement
from hw.pick import PICK, Pick
from hw.scale import SCALE, Scale
from hw.spec.config import SvpeConfig, named_config
from hw.spec.verilog_files import TOP
from hw.verilog import files, mapped_files, verilog
from qnn.bench import array
from qnn.eda.equivalence import compare
from qnn.eda.packing import misfits
from qnn.eda.synthesis import synthesis, synthesize

NAME = "qnn_pe"
WIDE = {PICK: Pick, MAXIMA: Maxima, SCALE: Scale}  # what has cells beside the processing element


def config(**sizes):
    return SvpeConfig(rows=1, columns=1, **sizes)


def element(config, *, mapped):
    return files(ProcessingElement(config), NAME, mapped=mapped)[f"{NAME}.v"]


def bodies(module, config):
    """A component of ``WIDE`` in words and in cells."""
    return [files(WIDE[module](config), module, mapped=m)[f"{module}.v"] for m in (False, True)]


def registers(config):
    """Bits that must be compared: of every register, some of which are outputs."""
    return synthesize({f"{NAME}.v": element(config, mapped=True)}, NAME).ff


def misfits_of(name, cells):
    return misfits(synthesis({f"{name}.v": cells}, name)[1])


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


@pytest.mark.rtl
@pytest.mark.parametrize(("pe", "weight_bits", "activation_bits"), KINDS)
@pytest.mark.parametrize("lanes", [4, 16])
def test_cells_fit_slices_as_they_are_drawn(pe, weight_bits, activation_bits, lanes):
    made = config(lanes=lanes, pe=pe, weight_bits=weight_bits, activation_bits=activation_bits)
    assert not misfits_of(NAME, element(made, mapped=True))


@pytest.mark.rtl
@pytest.mark.slow
@pytest.mark.parametrize("config_", array.configs(), ids=str)
def test_every_element_that_is_measured_fits(config_):
    assert not misfits_of(NAME, element(config_, mapped=True))


def test_a_lane_of_three_bits_takes_less_than_sixteen_luts():
    """With the shift of the sum between terms, every LUT that a slice needs counted."""
    made = config(lanes=16)
    cells = element(made, mapped=True)
    counted = synthesize({f"{NAME}.v": cells}, NAME)
    assert not misfits_of(NAME, cells)
    assert counted.lut == 252  # 15.75 for each lane
    assert counted.lut_shift_registers == counted.lut_memories == counted.dsp == 0


def test_every_register_is_compared():
    made = config(lanes=4)
    proved, _ = compare(element(made, mapped=False), element(made, mapped=True), NAME)
    assert proved == registers(made)


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        # One entry of the first table of a LUT by itself, and of one of a pair.
        (".INIT(64'h", ".INIT(64'h1 ^ 64'h"),
        (".INIT(32'd", ".INIT(32'd1 ^ 32'd"),
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


WIDE_SIZES = [
    *((one, {"columns": n, "activation_bits": 5}) for n in (1, 4, 8, 16) for one in (PICK, MAXIMA)),
    *((module, {"columns": 2, "activation_bits": n}) for n in (4, 7, 8, 16) for module in WIDE),
    (SCALE, {"columns": 2, "result_bits": 48}),  # shift amounts of six bits
]


@pytest.mark.rtl
@pytest.mark.parametrize(("module", "sizes"), WIDE_SIZES)
def test_a_wide_part_of_any_size_is_proved(module, sizes):
    _, open_ = compare(*bodies(module, SvpeConfig(lanes=2, rows=1, **sizes)), module)
    assert open_ == 0


@pytest.mark.rtl
@pytest.mark.parametrize(("module", "sizes"), WIDE_SIZES)
def test_a_wide_part_fits_slices_as_it_is_drawn(module, sizes):
    cells = bodies(module, SvpeConfig(lanes=2, rows=1, **sizes))[1]
    assert not misfits_of(module, cells)


@pytest.mark.rtl
def test_a_whole_accelerator_fits_slices_as_it_is_drawn():
    _, netlist = synthesis(verilog(named_config("test"), mapped=True), TOP, flatten=True)
    drawn = {PE, PICK, MAXIMA, SCALE}
    assert drawn <= netlist["modules"].keys()
    assert not misfits(netlist)


@pytest.mark.parametrize("module", WIDE)
def test_every_register_of_a_wide_part_is_compared(module):
    words, cells = bodies(module, SvpeConfig(lanes=2, rows=1, columns=2))
    proved, _ = compare(words, cells, module)
    counted = synthesize({f"{module}.v": cells}, module)
    # Shift registers in LUTs are three bits or more, each of which is compared.
    assert proved >= counted.ff + 3 * counted.lut_shift_registers


@pytest.mark.rtl
@pytest.mark.slow
@pytest.mark.parametrize("module", WIDE)
def test_the_reference_is_proved(module):
    _, open_ = compare(*bodies(module, named_config("reference")), module)
    assert open_ == 0


@pytest.mark.parametrize(
    ("module", "good", "bad"),
    [
        (PICK, ".INIT(64'h", ".INIT(64'h1 ^ 64'h"),
        (PICK, ".S(bank[2])", ".S(bank[3])"),  # the choice of a MUXF7
        (MAXIMA, ".INIT(64'h", ".INIT(64'h2 ^ 64'h"),
        (MAXIMA, ".S(index[2])", ".S(1'h0)"),
        (SCALE, ".INIT(64'h", ".INIT(64'h1 ^ 64'h"),
        (SCALE, ".CI(1'h0)", ".CI(1'h1)"),  # equal limits exceed
    ],
)
def test_a_planted_fault_in_a_wide_part_is_not_proved(module, good, bad):
    words, cells = bodies(module, SvpeConfig(lanes=2, rows=1, columns=8))
    assert good in cells
    _, open_ = compare(words, cells.replace(good, bad, 1), module)
    assert open_ > 0


@pytest.mark.rtl
def test_a_bit_of_a_column_takes_four_luts_and_two_registers():
    """Of sixteen banks, with the padding: what clears and sets are wires of registers."""
    made = SvpeConfig(lanes=4, rows=1, columns=8)
    counted = synthesize({f"{PICK}.v": bodies(PICK, made)[1]}, PICK)
    assert counted.lut - 4 * made.feature_bits in (0, 1)  # an inverter for all
    assert counted.ff == 2 * made.feature_bits + made.activation_bits


@pytest.mark.rtl
def test_a_running_maximum_takes_half_a_lut_for_each_bit():
    made = SvpeConfig(lanes=4, rows=1, columns=4)
    counted = synthesize({f"{MAXIMA}.v": bodies(MAXIMA, made)[1]}, MAXIMA)
    # A LUT6 for each bit picks one of the four columns.
    assert counted.lut == made.columns * made.feature_bits / 2 + made.feature_bits


def test_the_mapped_files_are_those_that_differ():
    made = named_config("test")
    words, cells = verilog(made), verilog(made, mapped=True)
    assert {name: cells[name] for name in cells if cells[name] != words[name]} == mapped_files(made)


def test_a_function_forgets_what_does_not_matter():
    a, b, c = (Net((n, 0)) for n in range(3))
    assert Function.of(lambda a, b, c: a ^ (b and c), a, b, 0).nets == (a,)
    assert Function.of(lambda a, b, c: a ^ b ^ c, a, c, c).nets == (a,)
    assert Function.of(lambda a, b: a | b, a, b) == Function((a, b), 0b1110)
