"""A C++ compiler that is missing: told at once, and not at all where the simulator is cached."""

import json
from dataclasses import replace

import numpy as np
import pytest

import boards
from qnn.cache import keep_files
from qnn.cli import simulators
from qnn.design import Design
from qnn.errors import ToolError
from qnn.runtime.driver import memory_bytes
from sim import dram, runner
from tests.boards.tiny import tiny_design

LACKING = "error: RTL simulation needs g++ and make, not found on PATH; apt install g++ make\n"
# More images than there are: whoever read the data first would refuse that.
MANY = ("--images", 10**9)


@pytest.fixture
def no_compiler(tmp_path, monkeypatch):
    """Neither a compiler nor a simulator that was compiled before."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.parametrize(
    "arguments",
    [
        ("verify", "BUILD", *MANY),
        ("verify", "BUILD", *MANY, "--device", "rtl", "--waves", "out.vcd"),
        ("simulate", "BUILD", *MANY, "--device", "rtl"),
        ("run", "BUILD", *MANY, "--device", "rtl:"),
        ("serve", "BUILD"),
        ("demo",),
        ("bench", "network", "resnet20", "--device", "rtl"),
        ("bench", "faults"),
        ("bench", "array", "--energy"),
    ],
    ids=lambda arguments: " ".join(map(str, arguments)),
)
def test_a_missing_compiler_is_told_before_any_work(qnn, build, no_compiler, arguments, tmp_path):
    given = [tmp_path / "build" if each == "BUILD" else each for each in arguments]
    assert qnn(*given) == (3, "", LACKING)


def test_only_rtl_needs_a_compiler(qnn, build, no_compiler):
    for device in ("functional", "reference"):
        assert qnn("simulate", build, "--device", device)[0] == 0
    assert qnn("verify", build, "--device", "functional")[0] == 0


def asked(monkeypatch, check, *arguments):
    """What the check looks for in the cache: sources, module, parameters and waves."""
    found = []
    monkeypatch.setattr(runner, "require_executable", lambda **wanted: found.append(wanted))
    check(*arguments)
    return found


def keep(wanted, tmp_path):
    """Put an executable for ``wanted`` into the cache."""
    entry = runner._entry(
        wanted["sources"], wanted["toplevel"], wanted["parameters"], "verilator", wanted["waves"]
    )
    (tmp_path / "executable").write_bytes(b"compiled")
    keep_files([tmp_path / "executable"], entry)


def test_a_cached_simulator_needs_no_compiler(build, no_compiler, tmp_path, monkeypatch):
    design = Design.read(build)
    arguments = design, "rtl", 3, tmp_path / "waves.vcd"
    with monkeypatch.context() as patch:
        plain, recording = asked(patch, simulators.check_simulator, *arguments)
    keep(plain, tmp_path)
    simulators.check_simulator(*arguments[:3])
    simulators.check_served(design, memory_bytes(design.artifact))
    simulators.check_compiler()
    with pytest.raises(ToolError):  # the second run's is another
        simulators.check_simulator(*arguments)
    keep(recording, tmp_path)
    simulators.check_simulator(*arguments)
    # Another Verilog, a larger memory or another core is another simulator.
    name = next(name for name in design.built if name.endswith(".v") and "rtl/" in name)
    changed = {**design.built, name: design.built[name] + b"\n// changed\n"}
    for other in (
        (replace(design, built=changed), "rtl", 3),
        (design, "rtl", 10**6),
    ):
        with pytest.raises(ToolError):
            simulators.check_simulator(*other)
    with pytest.raises(ToolError):
        simulators.check_served(design, memory_bytes(design.artifact), 2)


@pytest.mark.rtl
def test_a_thorough_verification_of_a_board_is_refused_before_its_plain_run(
    qnn, no_compiler, tmp_path, monkeypatch
):
    board = boards.reference("ecp5")
    design = tiny_design()
    build = design.write(
        tmp_path / "board", lambda built: board.files(design.config, built, 1), "tiny"
    )
    design = Design.read(build)
    with monkeypatch.context() as patch:
        found = []
        patch.setattr(
            runner,
            "require_executable",
            lambda sources, toplevel, **wanted: found.append(
                {
                    "parameters": {},
                    "waves": None,
                    **wanted,
                    "sources": sources,
                    "toplevel": toplevel,
                }
            ),
        )
        simulators.check_simulator(design, "rtl", 2)
        plain = list(found)
        simulators.check_thorough(build, design)
    tops = [each["toplevel"] for each in found]
    assert (tops.count(board.pins.top), tops[-1]) == (1, board.pins.top)
    for wanted in plain:
        keep(wanted, tmp_path)
    simulators.check_simulator(design, "rtl", 2)
    # All but the last one, which is the board's: then that is what lacks.
    for wanted in found[:-1]:
        keep(wanted, tmp_path)
    command = ("verify", build, "--images", 2, "--device", "rtl", "--thorough")
    assert qnn(*command) == (3, "", LACKING)
    keep(found[-1], tmp_path)
    simulators.check_thorough(build, design)


@pytest.mark.parametrize("images", [1, 2, 7])
def test_the_simulator_that_is_looked_for_is_the_one_that_runs(build, monkeypatch, images):
    design = Design.read(build)
    (wanted,) = asked(monkeypatch, simulators.check_simulator, design, "rtl", images)
    made = []

    class Stopped(Exception):
        """Ends the run when it has asked for its simulator."""

    def build_none(sources, toplevel, *, parameters, waves, **_):
        made.append((sources, toplevel, parameters, waves))
        raise Stopped

    monkeypatch.setattr(runner, "build", build_none)
    x = np.zeros((images, 1, 8, 8), np.int64)
    with pytest.raises(Stopped):
        design.backend.run(design.artifact, x, "rtl", built=design.built)
    assert made == [tuple(wanted[key] for key in ("sources", "toplevel", "parameters", "waves"))]


@pytest.mark.parametrize("runs", [0, 1, 5])
def test_the_size_of_the_memory_is_known_without_it(build, runs):
    image = Design.read(build).artifact
    memory = dram.place(image, np.zeros((runs, image.input_bytes), np.uint8))
    assert dram.placed_bytes(image, runs) == len(memory.content)


@pytest.mark.rtl
def test_what_was_simulated_once_is_verified_without_a_compiler(qnn, model, tmp_path, monkeypatch):
    build = tmp_path / "build"
    assert qnn("compile", model, "--config", "test", "-o", build)[0] == 0
    assert qnn("verify", build, "--device", "rtl", "--images", 1)[0] == 0
    monkeypatch.setenv("PATH", str(tmp_path))
    code, out, err = qnn("verify", build, "--device", "rtl", "--images", 1, "--json")
    assert (code, json.loads(out)["passed"], err) == (0, True, "")
