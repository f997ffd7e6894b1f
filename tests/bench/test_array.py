from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.spec.config import SvpeConfig
from qnn.bench import array
from qnn.bench.array_plot import write_plot

SMALL = {"lanes": 4, "rows": 2, "columns": 2}


def row(config):
    """As if a lane took a LUT for each bit of weight and activation."""
    lut = float(config.weight_bits * config.activation_bits)
    lanes, _ = array.lanes_that_fit(lut, float(config.pe == "multiply"))
    return array.Row(
        pe=array.NAMES[config.pe],
        body="mapped",
        weight_bits=config.weight_bits,
        activation_bits=config.activation_bits,
        accumulator_bits=config.accumulator_bits,
        lut_per_lane=lut,
        lut_packed_per_lane=lut,
        ff_per_lane=1.0,
        carry8_per_lane=1.0,
        dsp_per_lane=float(config.pe == "multiply"),
        longest_path_luts=1,
        longest_path_carry_bits=1,
        device_lanes=lanes,
        device_ff_share=0.5,
        device_gops=0.0,
    )


def packed_row(bits, double):
    """As if a lane took as many LUTs as bits, and so many blocks as it says."""
    made = row(array.config_of("multiply", bits, bits))
    lut, dsp = float(bits), bits / 16 / (1 + double)
    return replace(
        made,
        pe=array.PACKED_NAMES[double],
        lut_per_lane=lut,
        dsp_per_lane=dsp,
        device_lanes=array.lanes_that_fit(lut, dsp)[0],
    )


@pytest.fixture
def rows():
    packed = [packed_row(*kind) for kind in array.PACKED_KINDS]
    return [row(config) for config in array.configs()] + packed


@given(st.floats(1, 500), st.sampled_from([0.0, 0.5, 1.0]))
def test_lanes_fit_and_one_more_does_not(lut, dsp):
    lanes, limit = array.lanes_that_fit(lut, dsp)
    usable = array.USABLE * array.DEVICE_LUTS
    assert lanes * lut <= usable * (1 + 1e-9)
    assert lanes * dsp <= array.DEVICE_DSPS
    over = (lanes + 1) * lut > usable if limit == "LUT" else (lanes + 1) * dsp > array.DEVICE_DSPS
    assert over


def test_ratios_are_of_lanes(rows):
    wide, narrow = 205_560 // (3 * 16), 205_560 // (3 * 8)
    assert array.ratios(rows) == {
        "throughput_vs_published_vpe": wide / 1024,
        "throughput_vs_full_dsp_vpe": wide / (205_560 // 256),
        "throughput_vs_packed_int8_vpe": narrow / 5040,
        # 256 LUTs a lane fill the device, so that nothing is left beside them.
        "throughput_vs_dsp_and_lut_vpe": pytest.approx(wide / (205_560 / 256)),
    }


def test_json_has_every_kind_once(rows):
    fields = array.to_fields(rows)
    every = [(r["pe"], r["weight_bits"], r["activation_bits"]) for r in fields["rows"]]
    assert every[-4:] == [
        (array.PACKED_NAMES[double], bits, bits) for bits in (4, 8) for double in (False, True)
    ]
    kinds, fields["rows"] = every[:-4], fields["rows"][:-4]
    assert set(kinds) == {(array.NAMES[pe], *bits) for pe, *bits in array.KINDS}
    whole = [(*kind, r["accumulator_bits"]) for kind, r in zip(kinds, fields["rows"], strict=True)]
    assert len(whole) == len(set(whole)) == len(array.configs())
    # Wider accumulators, of several terms, come behind: their kinds are there already.
    assert len(set(kinds[: len(array.KINDS)])) == len(array.KINDS)
    assert {pe for pe, _, _ in kinds} == {"shift", "multiply_dsp", "multiply_lut"}
    assert fields["rows"][0]["device_lanes"] == rows[0].device_lanes


def test_terms_add_three_arrays_of_wider_accumulators(rows):
    added = [(r.pe, r.weight_bits, r.accumulator_bits) for r in rows[len(array.KINDS) : -4]]
    assert added == [("shift", 2, 32), ("shift", 3, 32), ("shift", 4, 40)]
    assert array.by_kind(rows)["shift", 3, 8].accumulator_bits == 24


def test_findings_say_who_is_cheaper(rows):
    cheaper = [
        replace(r, lut_per_lane=10.0) if (r.pe, r.weight_bits) == ("multiply_lut", 4) else r
        for r in rows
    ]
    assert (
        "4-bit shifts take 32.0 LUTs a lane at 8-bit activations, uniform 4-bit weights 10.0 "
        "(3.20 x)"
    ) in array.findings(cheaper)


def test_findings_say_where_blocks_of_several_products_win(rows):
    # 205,560 LUTs are 17,130 lanes of shifts; 20,160 lanes take all blocks and 80,640 LUTs.
    beside = (205_560 - 20_160 * 4) / 12
    assert (
        f"4 x 4 bits, 8 products of a DSP block in a cycle at twice the clock: 1.18 x the lanes of "
        f"3-bit shifts, 4.0 LUTs a lane instead of 12.0; {(20_160 + beside) / 17_130:.2f} x with "
        f"shifts in the LUTs beside (estimated)"
    ) in array.findings(rows)


@pytest.mark.rtl
@pytest.mark.parametrize(("bits", "double"), array.PACKED_KINDS)
def test_a_block_gives_as_many_products_as_it_says(bits, double):
    made = array._packed_row((bits, double), "mapped")
    assert made.dsp_per_lane == bits / 16 / (1 + double)
    assert made.device_lanes == array.DEVICE_DSPS * 16 / bits * (1 + double)  # LUTs are left
    assert made.longest_path_luts == 2


@pytest.mark.rtl
def test_a_row_counts_the_whole_array():
    made = array._row(SvpeConfig(**SMALL), "mapped")
    assert made.dsp_per_lane == 0
    assert 10 < made.lut_per_lane < 30
    # The third LUT moves the sum as a term begins.
    assert (made.pe, made.longest_path_luts) == ("shift", 3)
    words = array._row(SvpeConfig(**SMALL), "words")
    assert words.lut_per_lane > made.lut_per_lane
    multiplied = array._row(SvpeConfig(**SMALL, pe="multiply", weight_bits=8), "mapped")
    assert multiplied.dsp_per_lane == 1


def test_the_picture_is_written(rows, tmp_path):
    write_plot(rows, tmp_path / "array.png")
    assert (tmp_path / "array.png").read_bytes()[:4] == b"\x89PNG"
