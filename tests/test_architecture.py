"""Who may import whom: ``MAY_IMPORT`` is the architecture, and every file is held to it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

MAY_IMPORT = {
    "hw.spec.isa.codes": set(),  # what a weight code is, also for training
    "hw.spec": {"hw.spec.isa.codes", "qnn.host", "qnn.ir.shape"},
    "hw": {"hw.spec", "hw.spec.isa.codes"},
    "qnn.tasks": set(),  # what outputs are for, also for drivers
    "qnn.quant": {"qnn.tasks", "hw.spec.isa.codes"},
    "qnn.ir.shape": set(),  # which axes a user's array has, also for drivers
    "qnn.host": {"qnn.ir.shape"},  # what is computed of a network's results, also for drivers
    "qnn.ir.codes": set(),  # integers of an input's type, also for drivers
    "qnn.ir.scaling": set(),  # how a user's data are scaled, also for drivers
    "qnn.ir": {
        "qnn.host",
        "qnn.ir.codes",
        "qnn.ir.scaling",
        "qnn.ir.shape",
        "qnn.quant",
        "hw.spec.isa.codes",
    },
    # files of other tools
    "qnn.interchange": {
        "qnn.interchange.file_rules",
        "qnn.interchange.packages",
        "qnn.interchange.run_qonnx",
        "qnn.host",
        "qnn.ir",
        "qnn.ir.codes",
        "qnn.ir.shape",
        "qnn.quant",
        "hw.spec.isa.codes",
    },
    "qnn.functions": {"qnn.quant"},  # of one variable, which tables hold
    "qnn.nn": {"qnn.functions", "qnn.host", "qnn.ir", "qnn.ir.shape", "qnn.quant", "qnn.tasks"},
    "qnn.interchange.packages": set(),  # which packages of others ONNX needs
    "qnn.interchange.file_rules": set(),  # what holds of every ONNX file
    # qonnx's executor
    "qnn.interchange.run_qonnx": {"qnn.interchange.file_rules", "qnn.interchange.packages"},
    "qnn.frontend": {
        "qnn.functions",
        "qnn.host",
        "qnn.interchange.file_rules",
        "qnn.interchange.packages",
        "qnn.interchange.run_qonnx",
        "qnn.ir",
        "qnn.ir.shape",
    },
    "qnn.ptq": {
        "qnn.frontend",
        "qnn.functions",
        "qnn.host",
        "qnn.nn",
        "qnn.ir",
        "qnn.ir.shape",
        "qnn.quant",
        "qnn.tasks",
        "hw.spec.isa.codes",
    },
    "qnn.compiler": {"qnn.ir", "qnn.quant", "hw.spec", "hw.spec.isa.codes"},
    "qnn.backend": {"qnn.ir", "qnn.quant"},  # the protocol, what it speaks of, and the registry
    "qnn.licence": {"hw.spec"},
    "qnn.testbench": {"qnn.backend", "qnn.ir"},
    "qnn.manifest": set(),  # what a build folder says of itself
    "qnn.verilog_words": set(),
    "qnn.design": {
        "qnn.licence",
        "qnn.manifest",
        "qnn.testbench",
        "qnn.verilog_words",
        "qnn.backend",
        "qnn.ir",
    },
    "qnn.cycles": {"qnn.design", "qnn.backend", "qnn.ir"},  # of the layers of a graph
    "qnn.runtime": {
        "qnn.host",
        "qnn.ir.codes",
        "qnn.ir.scaling",
        "qnn.ir.shape",
        "qnn.tasks",
        "hw.spec",
    },
    "qnn.eda": {"hw", "hw.spec"},
    "sim": {  # simulators of the array
        "qnn.backend",
        "qnn.runtime",
        "qnn.compiler",
        "qnn.ir",
        "qnn.quant",
        "qnn.eda",
        "hw",
        "hw.spec",
        "hw.spec.isa.codes",
    },
    "qnn.backend.array": {
        "sim",
        "qnn.backend",
        "qnn.compiler",
        "qnn.eda",
        "qnn.ir",
        "qnn.runtime",
        "hw",
        "hw.spec",
    },
    # of any back end
    "sim.record_waves": {"sim.verification", "qnn.backend", "qnn.design", "qnn.ir"},
    "sim.simulate": {"sim.record_waves", "qnn.backend", "qnn.design", "qnn.host", "qnn.ir"},
    "sim.verification": {"qnn.backend"},
    "sim.compare": {"sim.verification", "qnn.backend", "qnn.ir"},
    "sim.expected": {"qnn.ir"},
    "sim.verify": {
        "sim.compare",
        "sim.expected",
        "sim.record_waves",
        "sim.simulate",
        "sim.verification",
        "qnn.backend",
        "qnn.design",
        "qnn.ir",
    },
    "qnn.farm": set(),  # functions over items, in workers
    "sim.verify_many": {
        "sim.verification",
        "sim.verify",
        "qnn.design",
        "qnn.farm",
        "qnn.ir",
    },
    "sim.junit": {"sim.verification"},
    "boards": {"qnn.manifest", "qnn.eda", "qnn.runtime", "hw", "hw.spec"},
    "qnn.bench": {
        "qnn.farm",
        "qnn.cycles",
        "qnn.report",
        "qnn.manifest",
        "qnn.backend",
        "sim",
        "sim.verification",
        "sim.verify",
        "boards",
        "qnn.eda",
        "qnn.nn",
        "qnn.quant",
        "qnn.ir.codes",
        "qnn.ir",
        "qnn.frontend",
        "qnn.interchange",
        "qnn.interchange.packages",
        "qnn.ptq",
        "qnn.compiler",
        "qnn.design",
        "qnn.runtime",
        "qnn.tasks",
        "hw",
        "hw.spec",
    },
    "qnn.explore": {  # of accuracy and hardware at once
        "sim",
        "boards",
        "qnn.backend",
        "qnn.backend.array",
        "qnn.bench",
        "qnn.design",
        "qnn.farm",
        "qnn.frontend",
        "qnn.ir",
        "qnn.nn",
        "qnn.ptq",
        "qnn.tasks",
        "hw.spec",
        "hw.spec.isa.codes",
    },
    "qnn.bench.fuzz": {  # readers of a user's files, those of later packages too
        "qnn.bench",
        "qnn.explore",
        "qnn.report",
        "qnn.manifest",
        "qnn.backend",
        "sim",
        "boards",
        "qnn.nn",
        "qnn.quant",
        "qnn.ir",
        "qnn.interchange",
        "qnn.interchange.packages",
        "qnn.frontend",
        "qnn.ptq",
        "qnn.design",
        "qnn.runtime",
        "hw.spec",
    },
    "qnn.report": {
        "boards",
        "qnn.manifest",
        "qnn.backend",
        "qnn.ir",
        "qnn.design",
    },
    "qnn.cli": {
        "qnn.farm",
        "qnn.interchange",
        "qnn.interchange.packages",
        "qnn.cycles",
        "sim",
        "sim.record_waves",
        "sim.simulate",
        "sim.verification",
        "sim.verify",
        "sim.verify_many",
        "sim.junit",
        "qnn.backend",
        "qnn.bench",
        "qnn.bench.fuzz",
        "qnn.explore",
        "qnn.report",
        "boards",
        "qnn",
        "qnn.nn",
        "qnn.quant",
        "qnn.host",
        "qnn.ir",
        "qnn.ir.shape",
        "qnn.frontend",
        "qnn.ptq",
        "qnn.compiler",
        "qnn.design",
        "qnn.testbench",
        "qnn.runtime",
        "qnn.tasks",
        "qnn.eda",
        "hw",
        "hw.spec",
        "hw.spec.isa.codes",
    },
    "qnn.store": {"qnn.design", "qnn.nn", "qnn.ir"},
    "qnn": set(),  # the public names, which load on first use
}
EVERYONE = {
    "qnn.archive_file",
    "qnn.array_file",
    "qnn.cache",
    "qnn.errors",
    "qnn.exchange",
    "qnn.fields",
    "qnn.files",
    "qnn.tensor_file",
    "qnn.interrupt",
}  # what a user reads, files and the cache; nothing of ours in them
NEVER_AT_IMPORT = ("torch", "amaranth", "cocotb", "sklearn")  # of qnn.cli and qnn itself


def package_of(module: str) -> str | None:
    """The entry of the table that ``module`` belongs to: the longest that fits."""
    names = MAY_IMPORT.keys() | EVERYONE
    fits = [name for name in names if module == name or module.startswith(f"{name}.")]
    return max(fits, key=len, default=None)


def imported(tree: ast.AST) -> list[str]:
    """Modules that the code names in any import, also inside functions."""
    modules = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            modules.append(".")
        elif isinstance(node, ast.ImportFrom):
            modules += [f"{node.module}.{alias.name}" for alias in node.names]
    return modules


def violations(path: str, source: str) -> list[str]:
    """One line for each import in ``source`` that the table forbids to the file ``path``."""
    module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    here = package_of(module)
    allowed = MAY_IMPORT.get(here, set()) | EVERYONE | {here}
    found = []
    for name in imported(ast.parse(source)):
        if name == ".":
            found.append(f"{path}: imports must be absolute")
            continue
        package = package_of(name)
        if package is not None and package not in allowed:
            found.append(f"{path}: {here} must not import {package}")
    return found


def sources() -> list[Path]:
    return sorted(
        path for top in ("hw", "qnn", "sim", "boards") for path in (ROOT / top).rglob("*.py")
    )


def test_every_import_is_in_the_table():
    files = sources()
    assert len(files) > 20, f"found only {len(files)} source files under {ROOT}"
    assert [
        line
        for path in files
        for line in violations(path.relative_to(ROOT).as_posix(), path.read_text())
    ] == []


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("hw/bad.py", "import qnn.ir.graph", "hw/bad.py: hw must not import qnn.ir"),
        ("hw/bad.py", "from qnn import ir", "hw/bad.py: hw must not import qnn.ir"),
        (
            "hw/spec/bad.py",
            "from hw.array import Array",
            "hw/spec/bad.py: hw.spec must not import hw",
        ),
        (
            "qnn/compiler/bad.py",
            "def f():\n    from hw.top import Accelerator",
            "qnn/compiler/bad.py: qnn.compiler must not import hw",
        ),
        (
            "qnn/ir/bad.py",
            "from hw.spec.config import SvpeConfig",
            "qnn/ir/bad.py: qnn.ir must not import hw.spec",
        ),
        ("sim/bad.py", "import boards", "sim/bad.py: sim must not import boards"),
        (
            "sim/verify.py",
            "from hw.spec.image import Image",
            "sim/verify.py: sim.verify must not import hw.spec",
        ),
        (
            "qnn/design.py",
            "from qnn.backend.array.backend import BACKEND",
            "qnn/design.py: qnn.design must not import qnn.backend.array",
        ),
        (
            "qnn/report/page.py",
            "from qnn.backend.array.costs import costs",
            "qnn/report/page.py: qnn.report must not import qnn.backend.array",
        ),
        ("sim/bad.py", "from . import run", "sim/bad.py: imports must be absolute"),
    ],
)
def test_a_forbidden_import_is_named(path, source, expected):
    assert violations(path, source) == [expected]


def test_an_allowed_import_is_not_named():
    assert violations("qnn/compiler/good.py", "from hw.spec.config import SvpeConfig") == []
    assert violations("sim/good.py", "from qnn.errors import ToolError\nimport numpy") == []


def test_the_table_has_no_cycle():
    settled = set()
    while waiting := MAY_IMPORT.keys() - settled:
        ready = {name for name in waiting if MAY_IMPORT[name] <= settled}
        assert ready, f"these import each other: {sorted(waiting)}"
        settled |= ready


def test_the_command_line_imports_heavy_packages_only_inside_functions():
    for path in [ROOT / "qnn/__init__.py", *(ROOT / "qnn/cli").rglob("*.py")]:
        for statement in ast.parse(path.read_text()).body:
            if not isinstance(statement, ast.Import | ast.ImportFrom):
                continue
            heads = {name.split(".")[0] for name in imported(ast.Module([statement], []))}
            assert not heads & set(NEVER_AT_IMPORT), f"{path.name} imports {heads} at the top"
