"""``qnn verify --farm``: one table of all builds, and no difference that it leaves out."""

import json
import shutil
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from tests.cli.test_altered_hardware import BROKEN, ELEMENT, WHOLE, accept, replace_in

FARM = ("--farm", "--workers", 2)


@pytest.fixture
def broken(qnn, build, checkpoint, tmp_path):
    """A build that has the image of other weights than its graph."""
    other, model = tmp_path / "other", tmp_path / "other.safetensors"
    given = ("--checkpoint", checkpoint, "--rounding", "nearest", "--terms", 2, "-o", model)
    assert qnn("quantize", "digits_cnn", *given)[0] == 0
    assert qnn("compile", model, "-o", other)[0] == 0
    mixed = shutil.copytree(build, tmp_path / "mixed")
    shutil.copy(other / "image.bin", mixed / "image.bin")
    accept(mixed, "image.bin")
    return mixed


def test_one_broken_build_among_others_is_told_and_fails(qnn, build, broken, tmp_path):
    options = (*FARM, "--device", "functional", "--images", 3)
    junit = tmp_path / "all.xml"
    code, out, err = qnn("verify", build, broken, *options, "--json", "--junit", junit)
    assert (code, err) == (1, "")
    told = json.loads(out)
    sound, wrong = told["builds"]
    assert (told["passed"], sound["passed"], wrong["passed"]) == (False, True, False)
    assert (told["images"], told["workers"]) == (6, 2)
    assert [each["image"] for each in sound["images"]] == [0, 1, 2]
    assert sum(each["mismatches"] for each in sound["images"]) == sound["mismatches"] == 0
    assert sum(each["mismatches"] for each in wrong["images"]) == wrong["mismatches"] > 0
    assert told["mismatches"] == wrong["mismatches"]
    assert told["values_compared"] == sound["values_compared"] + wrong["values_compared"]
    single = json.loads(qnn("verify", build, "--device", "functional", "--images", 3, "--json")[1])
    assert sound["values_compared"] == single["values_compared"]
    suites = ElementTree.parse(junit).getroot().findall("testsuite")
    assert [suite.get("name") for suite in suites] == [
        f"qnn verify {build}",
        f"qnn verify {broken}",
    ]
    assert [int(suite.get("failures")) > 0 for suite in suites] == [False, True]
    for folder, passed in ((build, True), (broken, False)):
        kept = json.loads((folder / "report/verify_functional.json").read_text())
        assert kept["passed"] is passed


def test_a_table_tells_of_builds_that_pass(qnn, build):
    code, out, _ = qnn("verify", build, *FARM, "--device", "functional", "--images", 2)
    head, row, end = out.splitlines()[1:]
    assert code == 0
    # No cycles, as the device has no clock, and nothing that is wrong.
    assert head.split() == ["build", "images", "values", "different"]
    assert row.split() == [str(build), "PASS", "2", "8,552", "0"]
    assert end.startswith("verify: PASS; 2 images in ")
    assert " s by 2 workers, " in end


@pytest.mark.rtl
def test_simulators_are_built_once_and_a_broken_design_fails_alone(
    qnn, build, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    broken = shutil.copytree(build, tmp_path / "broken")
    replace_in(broken, ELEMENT, WHOLE, BROKEN)
    accept(broken, ELEMENT)
    code, out, _ = qnn("verify", build, broken, *FARM, "--images", 2, "--json")
    told = json.loads(out)
    sound, wrong = told["builds"]
    assert code == 1
    assert (told["device"], sound["passed"], wrong["passed"]) == ("rtl", True, False)
    assert wrong["first_layer"] == "stem.0"
    assert {each["image"] for each in wrong["images"] if each["mismatches"]} == {0, 1}
    simulators = [*(tmp_path / "cache/qnn/builds").glob("qnn_testbench-*")]
    assert len(simulators) == 2  # one for each Verilog, of four simulations
    single = json.loads(qnn("verify", build, "--images", 2, "--json")[1])
    for name in ("values_compared", "layer_cycles"):
        assert sound[name] == single[name]


def test_data_that_one_of_several_builds_does_not_take_name_it(qnn, build, tmp_path):
    wide = tmp_path / "wide.npz"
    np.savez(
        wide, x_train=np.zeros((2, 8, 9, 1), np.uint8), x_test=np.zeros((2, 8, 9, 1), np.uint8)
    )
    shutil.copytree(build, tmp_path / "other")
    given = ("--device", "functional", "--data", wide)
    code, out, alone = qnn("verify", build, "--farm", "--workers", 1, *given)
    assert (code, out) == (3, "")
    assert str(build) not in alone
    code, out, err = qnn("verify", build, tmp_path / "other", "--farm", "--workers", 1, *given)
    assert (code, out) == (3, "")
    assert err == alone.replace("error: ", f"error: {build}: ", 1)
    assert "of shape (2, 8, 9, 1) does not fit the model" in err
