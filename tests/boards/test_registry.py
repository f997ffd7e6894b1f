"""The registry: boards are found by their files, load fast, and are named nowhere else."""

import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

import boards
from boards.zynqmp.facts import Fact
from hw.spec.config import CONFIGS, named_config
from hw.spec.resources import total
from qnn.errors import CompileError
from tests.boards.builds import sources

ROOT = Path(__file__).resolve().parents[2]
EVERY = pytest.mark.parametrize("name", boards.names())
HEAVY = ("torch", "amaranth", "numpy", "tkinter", "termios")
MAY_NAME = {  # files that name a configuration which is called as a board is
    *("hw/spec/config.py", "tests/hw/test_c_header.py"),
    *("tests/test_design.py", "tests/cli/test_refusals.py", "qnn/cli/examples.py"),
}


def namings(path: str, text: str, names: tuple[str, ...] = boards.names()) -> list[str]:
    """The lines of a file that name a board, as path, number and line."""
    pattern = re.compile("|".join(names), re.IGNORECASE)
    configs = re.compile(f'["\\s]({"|".join(CONFIGS)})\\b')
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        rest = configs.sub("", line) if path in MAY_NAME else line
        if pattern.search(rest):
            found.append(f"{path}:{number}: {line.strip()}")
    return found


def test_boards_are_named_in_their_own_files_only():
    paths = [
        path for top in ("hw", "qnn", "sim", "examples") for path in (ROOT / top).rglob("*.py")
    ]
    tests = (ROOT / "tests").rglob("*.py")
    paths += [path for path in tests if not path.is_relative_to(ROOT / "tests" / "boards")]
    assert len(paths) > 300
    texts = {path.relative_to(ROOT).as_posix(): path.read_text() for path in paths}
    assert [line for path, text in texts.items() for line in namings(path, text)] == []


def test_within_a_family_only_a_boards_file_names_it():
    families = [path for path in (ROOT / "boards").iterdir() if path.is_dir()]
    paths = [path for family in families for path in family.glob("*.py")]
    assert len(paths) > 20
    assert [line for path in paths for line in namings(path.name, path.read_text())] == []


@pytest.mark.parametrize(
    ("path", "line", "found"),
    [
        ("qnn/cli/synth.py", 'ULX3S = "u"', 1),
        ("qnn/report/cards.py", 'Card("Clock on ZCU102")', 1),
        ("hw/spec/config.py", '    "zcu102": {},', 0),
        ("hw/spec/config.py", "# of the ZCU102", 1),
        ("hw/spec/resources.py", '    "zcu102": {},', 1),
        ("tests/test_design.py", "one of test, small, reference, zcu102, not", 0),
        ("sim/good.py", "device = boards.reference().device", 0),
    ],
)
def test_a_file_that_names_a_board_is_found(path, line, found):
    assert namings(path, f"x = 1\n{line}\n") == [f"{path}:2: {line.strip()}"] * found


@EVERY
def test_a_boards_name_is_its_files(name):
    board = boards.named(name)
    assert board.name == name == board.title.lower()
    assert boards.family(board) in boards.REFERENCES
    assert board.device.source


def test_an_unknown_board_is_refused():
    with pytest.raises(CompileError) as error:
        boards.named("nothing")
    assert str(error.value) == f"board must be one of {', '.join(boards.names())}, not 'nothing'"


@EVERY
def test_the_default_configuration_and_clock_fit(name):
    board = boards.named(name)
    config = named_config(board.config, **board.sizes)
    board.check_fits(config, 1)
    board.check_fits(config, 1, board.clock_mhz)


# docs/boards.md has these numbers.
@pytest.mark.parametrize(("name", "cores"), [("zcu102", 4), ("zcu104", 1), ("kv260", 1)])
def test_as_many_cores_fit_as_the_estimate_says(name, cores):
    board = boards.named(name)
    config = named_config(board.config, **board.sizes)
    board.check_fits(config, cores)
    if cores < 4:
        needed = total(config).times(cores + 1)
        text = f"^{name}: {cores + 1} x .* takes ({needed.lut:,} lut|{needed.bram18:,} bram18) "
        with pytest.raises(CompileError, match=text):
            board.check_fits(config, cores + 1)


def test_a_core_that_the_kv260s_block_ram_is_too_small_for_is_refused():
    with pytest.raises(CompileError) as error:
        boards.named("kv260").check_fits(named_config("reference"), 1)
    assert str(error.value) == (
        "kv260: 1 x 16x16x8 (lanes x rows x columns), 3-bit weights, 8-bit activations takes 296 "
        "bram18 (estimated), but 259 of 288 are usable; take fewer cores, rows, columns or words"
    )


@pytest.mark.parametrize("board", boards.every(), ids=lambda board: board.name)
def test_each_fact_has_a_source(board):
    for field in fields(board.facts):
        fact = getattr(board.facts, field.name)
        assert not isinstance(fact, Fact) or len(fact.source) > 10


def test_listing_and_loading_all_boards_loads_nothing_heavy():
    code = f"import sys, boards; boards.every(); print({HEAVY!r} & sys.modules.keys())"
    code = code.replace(f"{HEAVY!r}", f"set({HEAVY!r})")
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert run.stdout == "set()\n"


@pytest.fixture
def built(tmp_path):
    """Write a build folder for a board; gives the folder."""

    def write(board):
        files = {**sources(), **board.files(CONFIGS["test"], sources(), 1)}
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return tmp_path

    return write


@pytest.mark.parametrize("name", [n for n in boards.names() if not boards.named(n).open_flow])
def test_a_build_is_known_by_what_its_project_names(name, built):
    board = boards.named(name)
    folder = built(board)
    assert boards.board_of(folder) is board
    assert boards.shown(folder) == (board, boards.reference("ecp5"))
    assert boards.counted_for(folder) is board
    settings = folder / "vivado/settings.tcl"
    pattern = board.facts.board_part.value
    settings.write_text(settings.read_text().replace(f"board_part {pattern}", "board_part x"))
    assert boards.project_of(folder)[0] is board, "its part is enough"
    settings.write_text("")
    with pytest.raises(CompileError) as error:
        boards.project_of(folder)
    assert str(error.value) == (
        f"{folder}: vivado/build.tcl is of no board that is known here; compile the model again"
    )


def test_a_build_for_no_board_is_measured_against_the_references(tmp_path):
    assert boards.board_of(tmp_path) is None
    assert (
        boards.shown(tmp_path)
        == boards.shown()
        == (
            boards.reference(),
            boards.reference("ecp5"),
        )
    )
    assert boards.counted_for(tmp_path) is boards.reference()


def test_a_board_is_added_by_one_file(tmp_path):
    shutil.copytree(ROOT / "boards", tmp_path / "boards")
    folder = tmp_path / "boards/zynqmp/boards"
    text = (folder / "kv260.py").read_text()
    text = text.replace("kv260", "kr260").replace("KV260", "KR260")
    (folder / "kr260.py").write_text(text)
    code = (
        "import boards\n"
        "from hw.spec.config import CONFIGS\n"
        "from tests.boards.builds import sources\n"
        "board = boards.named('kr260')\n"
        "files = {**sources(), **board.files(CONFIGS['test'], sources(), 2)}\n"
        "print(boards.__file__, boards.names(), board.title)\n"
        "print(board.summary(CONFIGS['test'], 2))\n"
        "print('set board_part *:kr260_som:part0:*' in files['vivado/settings.tcl'].decode())\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}"},
    )
    first, summary, project = run.stdout.splitlines()
    known = tuple(sorted((*boards.names(), "kr260")))
    assert first == f"{tmp_path}/boards/__init__.py {known} KR260"
    assert summary.startswith("kr260, 2 cores at 187.5 MHz: ")
    assert project == "True"
