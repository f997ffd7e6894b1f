"""What ``qnn bench array`` prints and writes; the measuring itself is replaced."""

import json

import pytest

from boards.zynqmp.devices import XCZU9EG
from qnn.bench import array, clocks, energy, fit
from qnn.bench.core_size import SIZES, core_sizes
from qnn.eda import place_and_route
from qnn.errors import ToolError
from tests.bench.test_array import packed_row, row
from tests.bench.test_energy import counted
from tests.bench.test_fit import CELLS


@pytest.fixture(autouse=True)
def measured(monkeypatch):
    rows = [row(config) for config in array.configs()]
    rows += [packed_row(*kind) for kind in array.PACKED_KINDS]
    activities = {"shift": counted(160 * 40), "multiply_dsp": counted(160 * 50)}
    spent = energy.estimate(*activities.values())
    routed = place_and_route.Routed(mhz=131.6, luts=1200, ffs=900, dsps=0)
    monkeypatch.setattr(array, "measure_all", lambda _progress: rows)
    monkeypatch.setattr(energy, "measure", lambda _progress: (spent, activities))
    cores = fit.WholeCores(fit.shares(CELLS, XCZU9EG), core_sizes(dict.fromkeys(SIZES, CELLS)))
    monkeypatch.setattr(fit, "measure", lambda _progress: cores)
    monkeypatch.setattr(clocks, "measure", lambda: clocks.Clocks({"shift": routed}))
    monkeypatch.setattr(place_and_route, "check", lambda: None)


def test_the_table_and_what_it_says(qnn):
    code, out, err = qnn("bench", "array", "--accelerator", "--route")
    assert code == 0, err
    assert "multiply_lut" in out
    assert "shifts take less even if it were free" in out
    assert "of its FF" in out
    assert "fits 75 % LUT, 90 % RAM" in out
    assert "GOP/s for 1,000 LUTs" in out
    assert "132" in out  # MHz
    assert "precision by terms" in out
    assert "multipliers in LUTs take the fewest LUTs x steps" in out


def test_json_has_every_part(qnn):
    code, out, _ = qnn("bench", "array", "--accelerator", "--route", "--json")
    found = json.loads(out)
    assert code == 0
    assert len(found["rows"]) == len(array.configs()) + len(array.PACKED_KINDS)
    assert set(found["precision"]["rows"][0]) == {
        *("kind", "bits", "terms", "lut", "steps", "lut_steps", "snr_db", "best")
    }
    assert found["precision"]["weights"] == {"seed": 0, "channels": 64, "per_channel": 1024}
    assert set(found["ratios"]) == {
        "throughput_vs_published_vpe",
        "throughput_vs_full_dsp_vpe",
        "throughput_vs_packed_int8_vpe",
        "throughput_vs_dsp_and_lut_vpe",
        "energy_per_mac",
    }
    assert [share["cores"] for share in found["accelerators"]] == [1, 2, 3, 4]
    assert [core["lut"] for core in found["cores"]] == [CELLS.lut_sites] * len(SIZES)
    assert found["ecp5"]["shift"]["mhz"] == 131.6
    assert found["energy"]["published"] == {"power": 0.683, "per_operation": 0.237}


def test_parts_that_are_not_wanted_are_left_out(qnn):
    _, out, _ = qnn("bench", "array", "--no-energy", "--json")
    found = json.loads(out)
    assert not {"energy", "accelerators", "ecp5"} & set(found)
    assert "energy_per_mac" not in found["ratios"]


def test_files_are_written(qnn, tmp_path):
    code, _, _ = qnn("bench", "array", "--saif", tmp_path / "s", "--plot", tmp_path / "p.png")
    assert code == 0
    names = {path.name for path in (tmp_path / "s").iterdir()}
    assert names == {"shift.saif", "shift.v", "multiply_dsp.saif", "multiply_dsp.v"}
    assert (tmp_path / "p.png").stat().st_size > 1000


def test_a_missing_tool_is_said_before_anything_is_measured(qnn, monkeypatch):
    def missing():
        raise ToolError("place and route needs nextpnr")

    monkeypatch.setattr(place_and_route, "check", missing)
    monkeypatch.setattr(array, "measure_all", lambda _progress: pytest.fail("it measured"))
    assert qnn("bench", "array", "--route") == (3, "", "error: place and route needs nextpnr\n")
