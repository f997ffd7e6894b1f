"""Formal proof that two Verilog descriptions of a module compute the same, register by register."""

import re
import subprocess
import sys
from pathlib import Path

from qnn.eda.synthesis import YOSYS
from qnn.errors import ToolError
from qnn.files import scratch_folder

# Registers of the same name are taken as equal before a clock edge, and proved equal after it.
SCRIPT = (
    "read_verilog first.v; prep -flatten -top {top}; opt_clean -purge; {hide}; "
    "design -stash first; "
    "read_verilog +/xilinx/cells_sim.v; read_verilog second.v; prep -flatten -top {top}; "
    "opt_clean; {hide}; design -stash second; "
    "design -copy-from first -as first {top}; design -copy-from second -as second {top}; "
    # equiv_simple proves bit by bit, by SAT over the logic in front of it.
    "equiv_make first second both; prep -top both; equiv_simple; equiv_status"
)
HIDE = r"rename -hide w:$* w:U$*"  # wires of no name: their numbers are not the same in both
PROVED = re.compile(r"Of those cells (\d+) are proven and (\d+) are unproven")


def compare(first: str, second: str, top: str) -> tuple[int, int]:
    """How many bits of registers and outputs are proved equal in both, and how many are not.

    Parameters
    ----------
    first, second : Verilog of module ``top``; the second may have UltraScale+ cells

    Raises
    ------
    ToolError
        Yosys refuses one of them.
    """
    with scratch_folder("qnn-equivalence-") as scratch:
        for name, text in (("first.v", first), ("second.v", second)):
            (Path(scratch) / name).write_text(text)
        command = [sys.executable, "-c", YOSYS, "-p", SCRIPT.format(top=top, hide=HIDE)]
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True)
    found = PROVED.search(done.stdout)
    if done.returncode or not found:
        raise ToolError(f"yosys cannot compare the two: {(done.stderr or done.stdout)[-500:]}")
    return int(found[1]), int(found[2])
