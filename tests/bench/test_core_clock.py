"""The clock of rates: one file has it, ``bench timing --keep`` writes it, and nothing else does."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.spec.config import named_config
from qnn.bench import core_clock
from qnn.bench.core_clock import CoreClock, keep, kept, mark, rate_clock

ROOT = Path(core_clock.__file__).parents[2]
REFERENCE, TEST = named_config("reference"), named_config("test")


def clock(config, low, grade=core_clock.SPEED_GRADE):
    return CoreClock(
        core=str(config),
        fingerprint=mark(config),
        device="device",
        speed_grade=grade,
        low_mhz=low,
        expected_mhz=low + 1,
        high_mhz=low + 2,
        fill=0.75,
        seed=0,
        commit=None,
    )


@pytest.fixture
def table(tmp_path, monkeypatch):
    path = tmp_path / "core_clock.json"
    path.write_text("[]")
    monkeypatch.setattr(core_clock, "TABLE", path)
    return path


def test_the_reference_core_was_analysed_as_it_is():
    found = rate_clock()
    assert found == rate_clock(REFERENCE)
    assert (found.core, found.fingerprint) == (str(REFERENCE), mark(REFERENCE))
    assert 100 < found.low_mhz < found.expected_mhz < found.high_mhz < 800


def test_a_core_has_its_own_clock_and_others_have_the_references(table):
    keep(clock(REFERENCE, 300.0))
    assert rate_clock(TEST) == rate_clock() == clock(REFERENCE, 300.0)
    keep(clock(TEST, 400.0))
    assert rate_clock(TEST).hertz == 400e6
    assert rate_clock(replace(TEST, weight_bits=4)).hertz == 300e6


def test_a_core_with_other_buffers_has_the_clock_of_the_one_with_usual_buffers(table):
    keep(clock(REFERENCE, 400.0))
    wide = replace(REFERENCE, epilogue_words=4, neighbours=2)
    keep(clock(wide, 300.0))
    other = replace(wide, feature_words=8192, weight_words=1024)
    assert rate_clock(other).hertz == 300e6
    assert rate_clock(other).rated(other) == "300 MHz, another core's"
    # One that a larger memory slows down has been analysed itself.
    keep(clock(other, 200.0))
    assert rate_clock(other).hertz == 200e6
    assert rate_clock(replace(wide, epilogue_words=2)).hertz == 400e6


def test_a_rate_at_another_cores_clock_says_so(table):
    keep(clock(REFERENCE, 300.4))
    assert rate_clock(REFERENCE).rated(REFERENCE) == "300 MHz"
    assert rate_clock(TEST).rated(TEST) == "300 MHz, another core's"
    keep(clock(TEST, 400.0))
    assert rate_clock(TEST).rated(TEST) == "400 MHz"


def test_a_newer_clock_takes_the_place_of_the_older_and_of_no_other(table):
    for found in (clock(REFERENCE, 1.0), clock(REFERENCE, 2.0, "-1"), clock(REFERENCE, 3.0)):
        keep(found)
    assert kept() == [clock(REFERENCE, 3.0), clock(REFERENCE, 2.0, "-1")]
    assert rate_clock().low_mhz == 3.0


def test_its_text_says_what_it_is_of():
    assert str(clock(TEST, 100.4)) == (
        "100 MHz, the low end of 100 to 102 MHz estimated by 'qnn bench timing' for 8x4x2 (lanes "
        "x rows x columns), 3-bit weights, 8-bit activations, on device, speed grade -2"
    )


@given(st.floats(1, 999), st.floats(1, 999))
def test_rates_follow_the_clock(first, second):
    assert clock(TEST, first).hertz / clock(TEST, second).hertz == pytest.approx(first / second)


def test_no_file_of_the_benchmarks_has_a_clock_of_its_own():
    number = re.compile(r"\d_000_000\b|at_\d+_mhz|(?i:clock_(?:mhz|hz)) = \d|assumed \d+ MHz")
    files = [*(ROOT / "qnn/bench").rglob("*.py"), *(ROOT / "qnn/cli").glob("bench*.py")]
    assert len(files) > 50
    own = {str(path.relative_to(ROOT)): number.findall(path.read_text()) for path in files}
    assert {path: found for path, found in own.items() if found} == {}
