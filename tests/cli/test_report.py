import json

import pytest

from qnn.report import records
from tests.boards.vivado.test_reports import HEAD, TIMING, UTILIZATION
from tests.report.page_reader import unmarked


def test_results_of_commands_are_on_the_page(qnn, build):
    assert qnn("simulate", build, "--device", "reference", "--images", 20)[0] == 0
    assert qnn("verify", build, "--device", "functional", "--images", 3)[0] == 0
    code, out, _ = qnn("report", build)
    assert code == 0
    assert out == f"{build}/report/index.html: 2 results\n"
    page = (build / "report" / "index.html").read_text()
    kept = records.read(build)
    compared = kept["verify_functional"].values["simulated_values_compared"]
    accuracy = kept["simulate_reference"].values["measured_accuracy_percent"]
    assert compared > 0
    assert f"of {compared:,} compared between the functional simulator" in page
    assert f"{accuracy:.2f} %" in page
    assert "of 20 test images" in page


def test_a_stale_result_is_counted(qnn, build):
    assert qnn("verify", build, "--device", "functional")[0] == 0
    path = build / "report" / "verify_functional.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | {records.OF: "0" * 64}))
    code, out, _ = qnn("report", build, "--json")
    assert code == 0
    assert json.loads(out) == {
        "page": f"{build}/report/index.html",
        "results": ["verify_functional"],
        "stale": ["verify_functional"],
    }


def test_a_result_that_cannot_be_kept_is_told_and_fails_nothing(qnn, build):
    (build / "report").rename(build / "elsewhere")
    (build / "report").write_text("no folder")
    for file in (build / "elsewhere").iterdir():
        file.unlink()
    manifest = json.loads((build / "manifest.json").read_text())
    manifest["files"] = {k: v for k, v in manifest["files"].items() if "report/" not in k}
    (build / "manifest.json").write_text(json.dumps(manifest))
    code, out, err = qnn("verify", build, "--device", "functional")
    assert code == 0
    assert out.startswith("verify: PASS 0/")
    assert err == (
        f"note: {build}/report: 'qnn report' will not show this result, because the folder cannot "
        f"be written ('File exists')\n"
    )


def test_what_is_no_build_folder_has_no_report(qnn, tmp_path):
    code, _, err = qnn("report", tmp_path)
    assert code == 3
    assert err == (
        f"error: {tmp_path}: not a build folder; make one with 'qnn compile' or Design.write\n"
    )


def test_what_vivado_reported_is_read_back(qnn, build):
    folder = build / "vivado" / "reports"
    folder.mkdir(parents=True)
    (folder / "timing.rpt").write_text(HEAD + TIMING)
    (folder / "utilization.rpt").write_text(HEAD + UTILIZATION)
    assert qnn("report", build)[0] == 0
    kept = records.read(build)["vivado"].values
    assert kept["measured_cells"]["lut"] == 61234
    assert kept["given_available_cells"]["lut"] == 274080
    assert kept["estimated_fmax_mhz"] == pytest.approx(1000 / (4 - 0.187))
    page = (build / "report" / "index.html").read_text()
    assert "262.3 MHz" in page
    assert unmarked(page) == []


def test_a_vivado_report_that_is_cut_short_is_refused(qnn, build):
    folder = build / "vivado" / "reports"
    folder.mkdir(parents=True)
    (folder / "timing.rpt").write_text(HEAD)
    code, _, err = qnn("report", build)
    assert code == 3
    assert err.endswith("of twelve numbers in it; build it again in Vivado\n")
