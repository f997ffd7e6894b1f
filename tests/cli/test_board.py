"""A board's project from the command line: written, checked, refused."""

import hashlib
import json

import pytest

import boards
from boards import tcl
from boards.zynqmp.facts import PL_CLOCK_DIVISORS
from tests.boards.builds import sources

BOARDS = [board for board in boards.every() if boards.family(board) == "zynqmp"]


@pytest.fixture(params=BOARDS, ids=lambda board: board.name)
def board(request):
    return request.param


@pytest.fixture
def compile_(board):
    """The options of a small design for the board."""
    return ("--board", board.name, "--config", "test")


@pytest.fixture(scope="module", autouse=True)
def short_verilog():
    """Verilog as short as the check needs it: making the whole takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        texts = {name: content.decode() for name, content in sources().items()}
        rtl = {name[4:]: text for name, text in texts.items() if name.count("/") == 1}
        element = {"qnn_pe.v": texts["rtl/ultrascale/qnn_pe.v"]}
        patch.setattr("hw.verilog.verilog", lambda config: rtl)
        patch.setattr("hw.verilog.mapped_files", lambda config: element)
        yield


def test_compile_writes_a_project_whose_files_are_in_the_manifest(
    qnn, model, tmp_path, board, compile_
):
    out = tmp_path / "build"
    code, text, err = qnn("compile", model, *compile_, "--cores", 2, "-o", out)
    assert (code, err) == (0, "")
    assert f"{board.name}, 2 cores at {board.clock_mhz:g} MHz: " in text
    assert text.endswith("not run in Vivado: vivado -mode batch -source vivado/build.tcl\n")
    listed = json.loads((out / "manifest.json").read_text())["files"]
    names = ("project.tcl", "build.tcl", "settings.tcl", "qnn.xdc", "README.md")
    for name in (*(f"vivado/{name}" for name in names), "report/estimate_board_resources.json"):
        content = (out / name).read_bytes()
        assert listed[name] == hashlib.sha256(content).hexdigest()
    estimated = json.loads((out / "report/estimate_board_resources.json").read_text())
    blocks = estimated["blocks_of_a_core"]
    assert set(blocks) == {"array", "buffers", "crossbar", "epilogue", "control", "shell"}
    one = sum(block["estimated_lut"] for block in blocks.values())
    assert estimated["all_cores"]["estimated_lut"] == 2 * one > 0


def test_two_builds_are_the_same_bytes(qnn, model, tmp_path, compile_):
    for name in ("one", "two"):
        assert qnn("compile", model, *compile_, "--cores", 3, "-o", tmp_path / name)[0] == 0
    one, two = (
        {p.relative_to(tmp_path / name): p.read_bytes() for p in (tmp_path / name).rglob("*.*")}
        for name in ("one", "two")
    )
    assert one == two
    assert len(one) > 12


@pytest.mark.skipif(tcl.version() is None, reason="neither tclsh nor Python's tkinter is installed")
def test_check_of_a_build_runs_its_project(qnn, model, tmp_path, board, compile_):
    out = tmp_path / "build"
    qnn("compile", model, *compile_, "-o", out)
    assert qnn("check", out) == (0, f"{out}: {board.name}: 0 findings; not run in Vivado\n", "")
    path = out / "vivado/project.tcl"
    path.write_text(path.read_text().replace("\nvalidate_bd_design", "\n"))
    line = "vivado: the block design is never validated; call validate_bd_design"
    text = f"{line}\n{out}: {board.name}: 1 finding; not run in Vivado\n"
    assert qnn("check", out) == (1, text, "")
    code, text, _ = qnn("check", out, "--json")
    assert code == 1
    assert json.loads(text)["findings"] == [line]


@pytest.mark.skipif(tcl.version() is None, reason="neither tclsh nor Python's tkinter is installed")
@pytest.mark.parametrize("name", ["image.bin", "rtl/qnn_accelerator.v", "graph.qgraph"])
def test_check_of_a_build_finds_what_was_altered(qnn, model, tmp_path, name):
    compile_ = ("--board", BOARDS[0].name, "--config", "test")
    out = tmp_path / "build"
    qnn("compile", model, *compile_, "-o", out)
    with (out / name).open("ab") as file:
        file.write(b"\n")
    code, text, _ = qnn("check", out)
    assert code == 1
    assert f"{name}: missing or altered since it was built; compile the model again\n" in text


def test_a_build_without_a_board_has_no_project_to_check(qnn, model, tmp_path):
    out = tmp_path / "build"
    qnn("compile", model, "-o", out)
    assert qnn("check", out) == (
        3,
        "",
        f"error: {out}: no project of a board is here; make one with 'qnn compile --board NAME'\n",
    )


@pytest.mark.skipif(tcl.version() is None, reason="neither tclsh nor Python's tkinter is installed")
def test_the_board_brings_its_configuration_and_its_project_is_sound(qnn, model, tmp_path, board):
    out = tmp_path / "build"
    code, text, _ = qnn("compile", model, "--board", board.name, "-o", out, "--json")
    assert code == 0
    result = json.loads(text)
    assert (result["board"], result["cores"]) == (board.name, 1)
    assert result["config"].startswith("16x16x8 ")
    config = json.loads((out / "manifest.json").read_text())["config"]
    assert {name: config[name] for name in board.sizes} == board.sizes
    assert qnn("check", out)[0] == 0


def test_a_size_that_is_set_goes_before_the_boards(qnn, model, tmp_path):
    (board,) = [board for board in BOARDS if board.sizes]
    out = tmp_path / "build"
    arguments = ("--board", board.name, "--set", "weight_words=512", "-o", out)
    assert qnn("compile", model, *arguments)[0] == 0
    assert json.loads((out / "manifest.json").read_text())["config"]["weight_words"] == 512


def refused(qnn, model, out, arguments):
    """The one line that a refusal prints; nothing is written."""
    code, text, err = qnn("compile", model, *arguments, "-o", out)
    assert (code, text) == (3, "")
    assert not out.exists()
    return err


def test_a_board_that_does_not_exist_is_refused(qnn, model, tmp_path):
    assert qnn("compile", model, "-o", tmp_path / "build", "--board", "nothing") == (
        2,
        "",
        f"error: qnn compile: Invalid value for '--board': must be one of "
        f"{', '.join(boards.names())}, not 'nothing'\n",
    )


NO_DIVISOR = (
    f"the clock comes from 1500 MHz by two divisors of at most {PL_CLOCK_DIVISORS.value}, which do "
    f"not give"
)
TREE = "the clock must be above 0 and at most {most} MHz, which is what a clock tree of the device"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ("--cores", "5"),
            "cores must be 1 to 4, one for each memory port of the processing system, not 5",
        ),
        (("--clock-mhz", "200"), f"{NO_DIVISOR} 200 MHz; take 187.5 or 214.286"),
        (  # 1500 / 67 is nearer, and no product of two divisors
            ("--clock-mhz", "22.388"),
            f"{NO_DIVISOR} 22.388 MHz; take 22.0588 or 22.7273",
        ),
        (("--clock-mhz", "1500"), f"{TREE} can have, not 1500"),
        (
            ("--set", "pe=multiply"),
            "resources are estimated for pe=shift, not for pe=multiply; count those with 'qnn "
            "synth --part accelerator'",
        ),
    ],
)
def test_what_the_board_cannot_be_is_refused(qnn, model, tmp_path, board, arguments, text):
    text = text.replace("{most}", str(board.facts.most_mhz.value))
    err = refused(qnn, model, tmp_path / "build", ("--board", board.name, *arguments))
    assert err == f"error: {board.name}: {text}\n"


def test_a_configuration_that_does_not_fit_is_refused_with_the_numbers(qnn, model, tmp_path, board):
    sizes = ("--set", "lanes=32", "--set", "rows=32", "--set", "columns=16")
    err = refused(qnn, model, tmp_path / "build", ("--board", board.name, *sizes))
    luts = board.device.lut
    assert err.startswith(f"error: {board.name}: 1 x 32x32x16 (lanes x rows x columns), 3-bit ")
    assert err.endswith(
        f" lut (estimated), but {luts * 3 // 4:,} of {luts:,} are usable; take fewer cores, rows, "
        f"columns or words\n"
    )


def test_cores_need_a_board(qnn, model):
    code, _, err = qnn("compile", model, "--cores", 2)
    assert code == 2
    assert "--cores and --clock-mhz are of a board; name it with --board" in err
