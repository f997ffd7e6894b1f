"""Planted faults that no pin of the design can show, because all logic behind them is unused.

Yosys removes what leads to no output from the flattened design, bit by bit. A fault whose choice
then reaches nothing is equivalent, whatever the inputs are. Unlike the proof of a single module,
this one sees which bits of a module the rest of the design leaves open: upper bits of addresses
that are wider than a buffer of the configuration needs, say.
"""

import re
import tempfile
from pathlib import Path

from hw.spec.verilog_files import TOP
from qnn.eda.mutants import NUMBER, Planted
from qnn.eda.synthesis import YOSYS, run_tool

# As an input of its own, each fault's choice is there or not, whatever becomes of comparisons.
CHOICES = "qnn_planted"
# Larger memories stay as they are: their bits are many, and a word of data has no unused ones.
MAPPED_WORDS = 32
FLATTEN = f"read_rtlil mutants.il; hierarchy -top {TOP}; flatten; opt_clean -purge; "
# All down to gates of one bit, as of a word some bits may be unused and others not.
CLEAN = (
    f"read_rtlil free.il; hierarchy -top {TOP}; memory -nomap -nordff; "
    f"memory_map t:$mem_v2 r:SIZE<={MAPPED_WORDS} %i; opt -full; techmap; opt -fast; clean -purge; "
)
# What `mutate` makes: the comparison of the number with that of the fault.
COMPARISON = re.compile(
    r"  cell \$eq [^\n]*\n(?:    parameter [^\n]*\n)*"
    rf"    connect \\A \\\S*{NUMBER}\n    connect \\B \d+'([01]+)\n"
    r"    connect \\Y ([^\n]*)\n  end\n"
)
COMPARED = re.compile(rf"connect [^\n]*{NUMBER}")
USED = re.compile(rf"\\{CHOICES}(?: \[(\d+)(?::(\d+))?\])?(?=[ \n])")


def unseen_faults(planted: Planted) -> frozenset[int]:
    """Numbers of the mutants that are proved to change no output of the whole design.

    Raises
    ------
    ToolError
        Yosys is not installed, or refuses the design.
    RuntimeError
        Yosys writes faults in another way than this file reads.
    """
    width = len(planted.mutants) + 1  # as numbers begin at 1
    with tempfile.TemporaryDirectory(prefix="qnn-unseen-") as scratch:
        folder = Path(scratch)
        (folder / "mutants.il").write_text(planted.rtlil)
        run_tool("yosys", YOSYS, folder, "-q", "-p", FLATTEN + "write_rtlil flat.il")
        flat = (folder / "flat.il").read_text()
        (folder / "free.il").write_text(_freed(flat, width))
        run_tool("yosys", YOSYS, folder, "-q", "-p", CLEAN + "write_rtlil clean.il")
        used = _used((folder / "clean.il").read_text(), width)
    # What flattening has removed is not in any of them.
    return frozenset(each.number for each in planted.mutants) - used


def _freed(flat, width):
    """The flat design with an input of a bit for each fault instead of the comparisons."""
    freed = COMPARISON.sub(
        lambda found: f"  connect {found[2]} \\{CHOICES} [{int(found[1], 2)}]\n", flat
    )
    # A fault that was not read would count as one that nothing shows.
    if COMPARED.search(freed):
        raise RuntimeError("a planted fault in Yosys's RTLIL is not as unseen_faults reads it")
    # A number behind those of all other ports.
    port = f"  wire width {width} input {1 << 16} \\{CHOICES}\n"
    return freed.replace(f"\nmodule \\{TOP}\n", f"\nmodule \\{TOP}\n{port}", 1)


def _used(clean, width):
    """The bits of the choices that anything reads."""
    found: set[int] = set()
    lines = [line for line in clean.splitlines(keepends=True) if not line.startswith("  wire ")]
    for high, low in USED.findall("".join(lines)):
        # Without places all of them are meant.
        first, last = (int(low or high), int(high)) if high else (0, width - 1)
        found |= set(range(first, last + 1))
    return found
