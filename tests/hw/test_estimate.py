"""Cells that are estimated without synthesis: their form, and how near they are to Yosys's."""

from dataclasses import replace

import pytest

from boards.zynqmp.devices import XCZU9EG
from hw.spec.config import CONFIGS, SvpeConfig
from hw.spec.resources import (
    USABLE_BRAM18,
    USABLE_LUT,
    Cells,
    block_rams,
    estimate,
    total,
)
from qnn.eda.synthesis import accelerator_resources

TEST, REFERENCE = CONFIGS["test"], CONFIGS["reference"]
BOUND = 0.08  # of LUTs and flip-flops, whole accelerators against Yosys
NEVER_FITTED = replace(TEST, lanes=16, rows=8, columns=4, activation_bits=6, weight_words=1024)


def test_a_whole_is_the_sum_of_its_blocks():
    blocks = estimate(TEST)
    assert list(blocks) == ["array", "buffers", "crossbar", "epilogue", "control", "shell"]
    assert total(TEST).lut == sum(cells.lut for cells in blocks.values())
    assert all(cells.lut > 0 and cells.ff > 0 for cells in blocks.values())
    assert total(TEST).dsp == 0


@pytest.mark.parametrize("change", [{"lanes": 64}, {"rows": 8}, {"columns": 8}, {"weight_bits": 5}])
def test_a_larger_array_takes_more(change):
    before, after = estimate(TEST)["array"], estimate(replace(TEST, **change))["array"]
    assert after.lut > before.lut
    assert after.ff > before.ff


def test_block_ram_follows_from_the_memories():
    # 16 banks of 1024 x 128 bits, both ports read: 8 halves of 1024 x 18 each. 16 rows of
    # 2048 x 48 bits of weights: 6 halves of 1024 x 18 and so on. 16 rows of 256 x 32 and x 15
    # bits: 2. 16 rows of 1024 x 8 bits of tables: 1. 16 rows of 1024 x 16 bits of squares: 1. Two
    # copies of the bypass, 128 x 128 bits: 4 halves of 512 x 36 each.
    assert block_rams(REFERENCE) == {
        "buffers": 16 * 8 + 16 * 6,
        "epilogue": 16 * (2 + 1 + 1) + 2 * 4,
    }
    squares_alone = replace(REFERENCE, parameter_words=64, table_words=0)
    assert block_rams(squares_alone)["epilogue"] == 16 + 2 * 4
    # 128 x 176 bits, and no squares.
    none = replace(squares_alone, activation_bits=11)
    assert block_rams(none)["epilogue"] == 2 * 5


def test_each_further_word_of_the_epilogue_takes_cells_and_memories():
    one, two, four = (replace(REFERENCE, epilogue_words=words) for words in (1, 2, 4))
    assert total(one).lut < total(two).lut < total(four).lut < 1.4 * total(one).lut
    assert total(two).ff > total(one).ff
    # Tables and squares of every row again, and a bypass of 64 x 256 bits in 8 halves a reader.
    assert block_rams(two)["epilogue"] == 16 * (2 + 2 * (1 + 1)) + 2 * 8
    assert block_rams(two)["buffers"] == block_rams(one)["buffers"]


def test_neighbours_values_take_a_choice_for_each_bit():
    two = replace(REFERENCE, epilogue_words=2)
    near = replace(two, neighbours=2)
    more = total(near).lut - total(two).lut
    # Of seven pairs of columns, and six that are two apart; their coefficients are fitted.
    assert more == pytest.approx(16 * (7 + 6) * 8, rel=0.01)
    assert 0 < total(near).ff - total(two).ff < 250
    assert block_rams(near) == block_rams(two)


def test_cells_add_up_and_multiply():
    one = Cells(lut=1, ff=2, bram18=3, dsp=4)
    assert one + one == one.times(2) == Cells(lut=2, ff=4, bram18=6, dsp=8)


def test_multipliers_are_not_in_the_table():
    with pytest.raises(
        ValueError,
        match=r"^resources are estimated for pe=shift, not for pe=multiply; count those with 'qnn "
        r"synth --part accelerator'$",
    ):
        estimate(SvpeConfig(pe="multiply", weight_bits=8))


def test_four_reference_cores_fit_the_device():
    cells = total(REFERENCE).times(4)
    assert cells.lut <= USABLE_LUT * XCZU9EG.lut
    assert cells.bram18 <= USABLE_BRAM18 * XCZU9EG.bram18


@pytest.mark.rtl
@pytest.mark.parametrize("config", [TEST, NEVER_FITTED], ids=["fitted", "never fitted"])
def test_whole_accelerators_are_near_to_what_yosys_counts(config):
    counted, estimated = accelerator_resources(config), total(config)
    assert estimated.lut == pytest.approx(counted.lut_sites, rel=BOUND)
    assert estimated.ff == pytest.approx(counted.ff, rel=BOUND)
    assert estimated.bram18 == pytest.approx(counted.bram18, rel=BOUND)
    assert estimated.dsp == counted.dsp == 0
