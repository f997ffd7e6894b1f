"""Waves of a simulation: which cycles they show, and what a viewer reads in their file."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import pywellen
from hypothesis import given
from hypothesis import strategies as st

import qnn
from hw.spec.config import named_config
from qnn.backend.execution import LayerCycles
from qnn.eda import verilator
from qnn.errors import ToolError
from qnn.ir.codes import Codes
from qnn.ir.reference import reference
from qnn.testbench import drawn_inputs
from sim.record_waves import check_waves, window
from sim.verification import Difference, LayerReport, Report
from sim.verify import verify
from tests.compiler import small_graphs

HEADERS = [Path("/usr/include") / name for name in verilator.FST_HEADERS]


@pytest.fixture(scope="module")
def design():
    return qnn.compile(small_graphs.residual(), named_config("test"))


def report(cycle=None, last_write=None, failure=None):
    """What verify found: a value that differs, or was never written where ``cycle`` is None."""
    first = Difference("a", 0, 1, 2, 3, 4, None if cycle is None else 5, cycle)
    cycles = None if last_write is None else LayerCycles(0, last_write)
    return Report("rtl", (LayerReport("a", "conv", 0, 9, 1, first, None, cycles),), failure)


@given(cycle=st.integers(0, 10**7), cycles=st.integers(1, 10**5))
def test_the_window_has_as_many_cycles_as_asked_for_and_the_difference_in_it(cycle, cycles):
    first, last, why = window(report(cycle), cycles)
    assert last - first == cycles
    assert 0 <= first <= cycle <= last
    assert why == f"around the first difference in cycle {cycle:,}"


def test_without_a_difference_the_window_is_the_start_or_the_last_write():
    assert window(None, 50) == (0, 50, "from the start")
    passed = Report("rtl", (LayerReport("a", "conv", 0, 9, 0, None, None, None),), None)
    assert window(passed, 50) == (0, 50, "from the start")
    assert window(report(last_write=1000), 50) == (
        *(955, 1005),
        "around the last write of a layer in cycle 1,000",
    )
    assert window(report(failure="time-out"), 50) == (
        *(0, 50),
        "from the start, as no layer wrote anything",
    )


@pytest.mark.parametrize(
    ("device", "file", "cycles", "text"),
    [
        (
            *("functional", "w.fst", 9),
            "waves are of signals, which device 'functional' has none of; take device 'rtl'",
        ),
        ("rtl", "w.ghw", 9, "waves need a file that ends with .fst or .vcd, not 'w.ghw'"),
        ("rtl", "none/w.fst", 9, "waves need a folder that is there, not 'none'; make it first"),
        ("rtl", "w.vcd", 0, "waves need at least 1 cycle, not 0"),
    ],
)
def test_waves_that_cannot_be_recorded_are_refused_at_once(design, device, file, cycles, text):
    with pytest.raises(ValueError, match="waves") as error:
        check_waves(design, device, file, cycles)
    assert str(error.value) == text


def test_missing_headers_are_one_line_with_the_packages(monkeypatch):
    monkeypatch.setattr(verilator, "FST_HEADERS", {"none.h": "libnone-dev", "zlib.h": "zlib1g-dev"})
    monkeypatch.setattr(verilator, "compiler", lambda: shutil.which("false"))
    with pytest.raises(ToolError) as error:
        verilator.check_waves("fst")
    assert str(error.value) == (
        "waves as .fst need none.h and zlib.h, which the C++ compiler does not find; apt install "
        "libnone-dev zlib1g-dev, or take a file that ends with .vcd"
    )
    verilator.check_waves("vcd")


@pytest.mark.rtl
@pytest.mark.skipif(
    not all(header.is_file() for header in HEADERS), reason="liblz4-dev is not installed"
)
def test_waves_show_the_signals_around_the_first_difference(design, tmp_path):
    x = Codes(drawn_inputs(design.graph, 2))
    lowered = design.backend.lower(design.graph)
    expected = {name: t.copy() for name, t in reference(lowered, x).items()}
    layer = next(node.name for node in lowered.nodes if node.is_computed)
    expected[layer].flat[7] += 1
    file = tmp_path / "w.fst"
    report = verify(design, x, "rtl", expected=expected, waves=file, waves_cycles=100)

    cycle, waves = report.first.cycle, report.waves
    assert str(report).splitlines()[-1] == (
        f"  {file}: cycles {waves.first:,} to {waves.last:,}, around the first difference in cycle "
        f"{cycle:,}"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["w.fst"]
    read = pywellen.Waveform(str(file))
    signals = {var.full_name.rpartition(".")[2]: var.signal for var in read.all_vars()}
    # A cycle takes 2 ns: what the counter says in each, by the file's own clock.
    times = range(2000 * waves.first, 2000 * waves.last + 20_000, 2000)
    seen = {signals["cycle"].value_at(time) for time in times} - {None}
    assert min(seen) in (waves.first, waves.first + 1)
    assert waves.last <= max(seen) <= waves.last + 10
    # The value that verify names is on the wires of the epilogue in that cycle.
    (when,) = [t for t in times if signals["cycle"].value_at(t) == cycle]
    assert signals["write_valid"].value_at(when) == 1
    np.testing.assert_array_less([0], [len(signals)])
