"""``qnn synth --timing`` and ``qnn bench timing``: what they print, keep and draw."""

import json

import pytest

from qnn.bench import core_clock, timing
from tests.eda.timing.written import drawn


@pytest.fixture
def small(monkeypatch):
    """Netlists of our own instead of Yosys's."""
    made = [timing.TimedNetlist(name="core", written=drawn(7, 30), top="top")]
    monkeypatch.setattr(timing, "netlists", lambda part, config: made)
    monkeypatch.setattr(
        "qnn.eda.synthesis.synthesis", lambda sources, top, flatten: (None, renamed(top))
    )


def renamed(top):
    return {"modules": {top: drawn(7, 30)["modules"]["top"]}}


def test_the_report_of_a_small_netlist(qnn, small, golden):
    code, out, _ = qnn("bench", "timing", "--speed-grade", "1")
    assert code == 0
    golden("timing.txt", out)


def test_json_has_the_keys_that_others_read(qnn, small):
    code, out, _ = qnn("bench", "timing", "--json")
    found = json.loads(out)
    assert code == 0
    assert {"device", "speed_grade", "clock_mhz_low", "clock_mhz_high", "paths"} <= found.keys()
    assert (found["device"], found["speed_grade"]) == ("xczu9eg", "-2")
    assert 0 < found["clock_mhz_low"] < found["clock_mhz"] < found["clock_mhz_high"]
    assert 1 <= len(found["paths"]) <= 20
    times = [path["ns"] for path in found["paths"]]
    assert times == sorted(times, reverse=True)
    assert sum(found["slack"]["ends"]) > 0
    assert min(found["slack"]["bounds_ns"]) == pytest.approx(0, abs=1e-9)


def test_the_clock_is_kept_for_rates(qnn, small, tmp_path, monkeypatch):
    table = tmp_path / "core_clock.json"
    table.write_text("[]")
    monkeypatch.setattr(core_clock, "TABLE", table)
    code, out, _ = qnn("bench", "timing", "--keep", "--seed", "3", "--json")
    found, (kept,) = json.loads(out), core_clock.kept()
    assert code == 0
    assert (kept.low_mhz, kept.high_mhz) == (found["clock_mhz_low"], found["clock_mhz_high"])
    assert (kept.speed_grade, kept.seed, kept.fill) == ("-2", 3, 0.75)
    assert core_clock.rate_clock() == kept


def test_a_picture_is_drawn(qnn, small, tmp_path):
    pytest.importorskip("matplotlib")
    code, _, _ = qnn("bench", "timing", "--plot", tmp_path / "slack.png")
    assert code == 0
    assert (tmp_path / "slack.png").read_bytes()[:4] == b"\x89PNG"


def test_a_build_keeps_its_clock_for_the_report(qnn, small, build):
    code, out, _ = qnn("synth", build, "--timing", "--json", "-o", build / "clock.json")
    assert code == 0
    found = json.loads(out)
    assert json.loads((build / "clock.json").read_text()) == found
    kept = json.loads((build / "report" / "timing_2.json").read_text())
    assert kept["estimated_low_mhz"] == found["clock_mhz_low"]
    assert qnn("report", build)[0] == 0
    page = (build / "report" / "index.html").read_text()
    assert "Clock by our analysis, grade -2" in page
    assert f"{found['clock_mhz_low']:,.1f} MHz" in page
    assert found["paths"][0]["end"] in page


def test_the_page_says_how_to_get_a_clock(qnn, build):
    assert qnn("report", build)[0] == 0
    assert "qnn synth BUILD --timing" in (build / "report" / "index.html").read_text()


def test_a_block_by_itself_is_synthesised_and_timed(qnn):
    code, out, _ = qnn("bench", "timing", "--config", "test", "--of", "buffers", "--json")
    assert code == 0
    found = json.loads(out)
    assert set(found) == {"buffers: Features", "buffers: Weights"}
    # Words of memories go to registers and no further: 1.0 ns from the clock, and a net.
    assert all(300 < each["clock_mhz_low"] < 1500 for each in found.values())
