"""Verilog with planted faults, of which a file chooses one when the simulation starts.

Yosys plants them all behind one number, so that two hundred mutants are one executable.
"""

import math
import re
import shlex
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hw.spec.verilog_files import TOP
from qnn.eda.synthesis import YOSYS, run_tool

NUMBER = "qnn_mutant"  # the wire that says which fault is there; 0: none
# Contents of a memory at the start are constants, and a clock that stops is no fault of logic.
CHOICE = "select -set kept */* t:$meminit* %d t:$mem_v2 %d t:$check %d t:$print %d"
WIRE = re.compile(  # of a module where it is no port
    rf"^(?<!{NUMBER};\n)  wire (\[\d+:0\]) {NUMBER};$", re.MULTILINE
)
MODULE = re.compile(r"^module (?:\\(\S+) |(\w+))", re.MULTILINE)
CLOCKS = ("CLK", "RD_CLK", "WR_CLK", "clk")  # of cells, and of our modules


@dataclass(frozen=True)
class VerilogMutant:
    """One fault of a module, which is in each of its instances.

    Members
    -------
    number : what chooses it, from 1
    mode : of Yosys's ``mutate``: inv, const0 and const1 change the bit, cnot0 and cnot1 invert it
        while another bit of the port is 0 or 1
    place : cell, port and bit
    source : file and line of the Verilog
    """

    number: int
    module: str
    mode: str
    place: str
    source: str

    def __str__(self) -> str:
        return f"{self.module}: {self.mode} of {self.place} ({self.source})"


@dataclass(frozen=True)
class Planted:
    """A design with all faults.

    Members
    -------
    verilog : its text, in one file
    rtlil : the same as Yosys holds it, which it reads a hundred times faster
    """

    verilog: str
    rtlil: str
    mutants: tuple[VerilogMutant, ...]


def plant(sources: Mapping[str, str], count: int, seed: int, choice: Path) -> Planted:
    """The Verilog of ``sources`` with ``count`` faults, spread over its modules.

    Parameters
    ----------
    sources : file name to text
    choice : the file that the simulation reads at its start: one mutant's number in hexadecimal, or
        0, which leaves everything as it was

    Raises
    ------
    ToolError
        Yosys is not installed, or refuses the Verilog.
    """
    # Nothing is cleaned up: the test bench reads signals by name that nothing else needs.
    modules = [a or b for text in sources.values() for a, b in MODULE.findall(text)]
    files = " ".join(shlex.quote(name) for name in sources)
    read = f"read_verilog -sv {files}; proc"
    with tempfile.TemporaryDirectory(prefix="qnn-mutants-") as scratch:
        folder = Path(scratch)
        for name, text in sources.items():
            (folder / name).write_text(text)
        # More of each module than are taken, as some places repeat and some modules have few.
        each = 4 * math.ceil(count / len(modules))
        lists = [
            f"mutate -list {each} -seed {seed + i} -module {_escaped(m)} -o {i}.txt @kept"
            for i, m in enumerate(modules)
        ]
        run_tool("yosys", YOSYS, folder, "-q", "-p", "; ".join([read, CHOICE, *lists]))
        found = [_lines(folder / f"{i}.txt") for i in range(len(modules))]
        lines = _in_turn(found, count)
        width = len(lines).bit_length()
        planted = [
            line.replace("mutate ", f"mutate -ctrl {NUMBER} {width} {n} ", 1)
            for n, line in enumerate(lines, 1)
        ]
        # Yosys leads the number through all modules; at the top it is no port, but from a file.
        (folder / "plant.ys").write_text(
            "\n".join([*planted, f"delete -port {TOP}/w:{NUMBER}"]) + "\n"
        )
        last = "script plant.ys; write_rtlil mutants.il; write_verilog mutants.v"
        run_tool("yosys", YOSYS, folder, "-q", "-p", f"{read}; {last}")
        text, rtlil = ((folder / name).read_text() for name in ("mutants.v", "mutants.il"))
    mutants = tuple(map(_mutant, range(1, len(lines) + 1), lines))
    return Planted(_chosen_by(text, choice), rtlil, mutants)


def _escaped(module):
    return "\\" + module


def _lines(path):
    """The mutations of a list, each once, without those of clocks."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [line for line in dict.fromkeys(lines) if _option(line, "port") not in CLOCKS]


def _in_turn(lists, count):
    """One of each list in turn, until there are ``count``."""
    taken = [line for place in range(max(map(len, lists))) for line in _at(lists, place)]
    return taken[:count]


def _at(lists, place):
    return [lines[place] for lines in lists if place < len(lines)]


def _chosen_by(text, choice):
    memory = (
        rf"  reg \1 {NUMBER}_chosen [0:0];\n"
        rf'  initial $readmemh("{choice}", {NUMBER}_chosen);\n'
        rf"  wire \1 {NUMBER} = {NUMBER}_chosen[0];"
    )
    return WIRE.sub(memory, text)


def _mutant(number, line):
    bit = _option(line, "portbit")
    other = _option(line, "ctrlbit")
    place = f"{_option(line, 'cell')}.{_option(line, 'port')}[{bit}]"
    return VerilogMutant(
        number=number,
        module=_option(line, "module"),
        mode=_option(line, "mode"),
        place=place + (f" by [{other}]" if other else ""),
        source=_option(line, "src"),
    )


def _option(line, name):
    """The first value of an option; empty if the line has none."""
    words = line.split()
    option = f"-{name}"
    return words[words.index(option) + 1].lstrip("\\") if option in words else ""
