import json

import pytest

from qnn.report import records

VERIFIED = {
    "passed": True,
    "failure": None,
    "simulated_mismatches": 0,
    "simulated_values_compared": 7,
}


@pytest.fixture
def build(tmp_path):
    """A build folder, as far as results go."""
    write_manifest(tmp_path, "a1")
    return tmp_path


def write_manifest(folder, digest):
    (folder / "manifest.json").write_text(json.dumps({"files": {"image.bin": digest}}))


def test_what_is_kept_is_read_back(build):
    records.keep(build, "verify_rtl", VERIFIED)
    (record,) = records.read(build).values()
    assert record == records.Record("verify_rtl", VERIFIED, stale=False)


def test_a_result_of_another_image_is_stale(build):
    records.keep(build, "verify_rtl", VERIFIED)
    write_manifest(build, "b2")
    assert records.read(build)["verify_rtl"].stale


def test_a_number_without_its_mark_is_refused(build):
    with pytest.raises(
        ValueError,
        match=r"^report: a number's key must begin with one of measured, simulated, estimated, "
        r"given, not 'cells\.lut'$",
    ):
        records.keep(build, "synth", {"measured_ff": 1, "cells": {"lut": 3}})
    assert not (build / "report" / "synth.json").exists()


def test_files_that_are_no_results_are_left_out(build):
    records.keep(build, "verify_rtl", VERIFIED)
    (build / "report" / "estimate.json").write_text('{"estimated_cycles": 3}')
    (build / "report" / "broken.json").write_text("{")
    (build / "report" / "list.json").write_text("[1]")
    (build / "report" / "verify_functional.json").write_text('{"image_sha256": "a1"}')
    (build / "report" / "other.json").write_text('{"image_sha256": "a1", "cycles": 3}')
    assert list(records.read(build)) == ["verify_rtl"]
