"""Proof that a planted fault changes nothing that its module shows, by Yosys."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from qnn.eda.equivalence import HIDE, PROVED
from qnn.eda.mutants import NUMBER, Planted, VerilogMutant
from qnn.eda.synthesis import YOSYS

SECONDS = 20  # for a proof; those of modules with large memories would take hours
# The module twice, with the fault and without it: every register that is equal before a clock edge
# must be equal after it, and so must the outputs.
SCRIPT = (
    "read_rtlil mutants.il; hierarchy -top {top}; flatten; memory -nordff; "
    "delete -port w:{number}; {hide}; "
    "design -save both; connect -set {number} {width}'d0; rename -top sound; "
    "opt_clean; design -stash sound; "
    "design -load both; connect -set {number} {width}'d{chosen}; rename -top faulty; "
    "opt_clean; design -stash faulty; "
    "design -copy-from sound -as sound sound; design -copy-from faulty -as faulty faulty; "
    "equiv_make sound faulty both; prep -top both; equiv_simple; equiv_induct; equiv_status"
)
WIDTH = re.compile(rf"wire width (\d+).* \\{NUMBER}$", re.MULTILINE)


def same_behaviour(planted: Planted, mutant: VerilogMutant) -> bool:
    """Whether the fault is proved to leave all that its module does; False: it is not known."""
    script = SCRIPT.format(
        top=f"\\{mutant.module}",
        number=NUMBER,
        width=WIDTH.search(planted.rtlil)[1],
        chosen=mutant.number,
        hide=HIDE,
    )
    with tempfile.TemporaryDirectory(prefix="qnn-equivalence-") as scratch:
        (Path(scratch) / "mutants.il").write_text(planted.rtlil)
        command = [sys.executable, "-c", YOSYS, "-p", script]
        try:
            done = subprocess.run(
                command, cwd=scratch, capture_output=True, text=True, timeout=SECONDS
            )
        except subprocess.TimeoutExpired:
            return False
    found = PROVED.search(done.stdout)
    return done.returncode == 0 and found is not None and int(found[2]) == 0
