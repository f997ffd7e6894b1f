"""The device-tree overlay of a project: one node for each core, and a compiler that takes it."""

import re
import shutil
import subprocess

import pytest

from boards import named, names
from boards.zynqmp.overlay import overlay
from boards.zynqmp.project import registers_base
from hw.spec.config import named_config

ZYNQ = [board for board in map(named, names()) if board.project == "vivado/build.tcl"]


def text(board, cores=1, bus_bits=128, clock_mhz=None):
    config = named_config(board.facts.config, bus_bits=bus_bits)
    bases = tuple(map(registers_base, range(cores)))
    return overlay(board.facts, config, bases, clock_mhz or board.clock_mhz)


@pytest.mark.parametrize("board", ZYNQ, ids=lambda board: board.name)
@pytest.mark.parametrize("cores", [1, 4])
def test_each_core_has_registers_an_interrupt_and_a_port_as_wide_as_its_bus(board, cores):
    made = text(board, cores, bus_bits=64)
    assert re.findall(r"reg = <0x0 (\w+) 0x0 0x1000>", made) == [
        f"{0xA000_0000 + core * 0x1_0000:#x}" for core in range(cores)
    ]
    # pl_ps_irq0[0] is 121 to the interrupt controller, which a device tree counts from 32 on.
    assert re.findall(r"interrupts = <0 (\d+) 4>", made) == [str(89 + n) for n in range(cores)]
    ports = [f"<{number} 0x1>" for number in range(4, 4 + 2 * cores)]
    assert f"config-afi = {', '.join(ports)}, <14 0xa00>;" in made


def test_the_clock_is_what_the_pll_gives():
    (board,) = (board for board in ZYNQ if board.name == "zcu102")
    # 33.33 MHz x 45 / 6
    assert "assigned-clock-rates = <249975000>;" in text(board, clock_mhz=250)


@pytest.mark.parametrize("board", ZYNQ, ids=lambda board: board.name)
def test_a_compiler_of_device_trees_takes_it_without_a_warning(board, tmp_path):
    dtc = shutil.which("dtc")
    if dtc is None:
        pytest.skip("needs dtc, the device-tree compiler: apt-get install device-tree-compiler")
    source, made = tmp_path / "qnn.dtso", tmp_path / "qnn.dtbo"
    source.write_text(text(board, cores=4))
    command = [dtc, "-@", "-O", "dtb", "-o", str(made), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    # The magic number of a flattened device tree.
    assert made.read_bytes()[:4] == bytes.fromhex("d00dfeed")
