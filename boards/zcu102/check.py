"""The check of a ZCU102 project without Vivado: run its scripts, then look at what they made."""

from collections.abc import Iterator, Mapping

from boards.tcl import run
from boards.vivado import rules
from boards.vivado.block_design import BlockDesign
from boards.vivado.design import Cell, Design
from boards.vivado.folder import Folder
from boards.vivado.project import Project
from boards.vivado.recorder import Recorder
from boards.zcu102.facts import PRESET, divisor, fact
from boards.zcu102.processing_system import BLOCK, MEMORY_SEGMENTS, VLNV
from boards.zcu102.reports import TIMING, UTILIZATION

SCRIPT = "vivado/build.tcl"
WRITTEN = ("vivado/qnn.bit", "vivado/qnn.hwh", "vivado/qnn.xsa", TIMING, UTILIZATION)
BOARD_PART = "xilinx.com:zcu102:part0:3.4"
NEEDED_SEGMENTS = ("/reg0", "_DDR_LOW")  # ends of their names


def findings(files: Mapping[str, str]) -> list[str]:
    """What is wrong with a project, a line each.

    Parameters
    ----------
    files : sources and scripts of a build folder, path to text
    """
    design, folder = Design(), Folder(files)
    project = Project(design, folder, BOARD_PART)
    block_design = BlockDesign(design, folder, {VLNV: BLOCK}, (VLNV, PRESET), MEMORY_SEGMENTS)
    failure = run(SCRIPT, Recorder(folder, project, block_design))
    if failure is not None:
        reason = " ".join(failure.reason.split())
        return [f"{failure.name.lstrip('/')}, line {failure.line}: {reason}"]
    for rule in _rules(design, folder, block_design):
        if lines := [f"vivado: {line}" for line in rule]:
            return lines  # what later rules would say follows from these
    return []


def _rules(design: Design, folder: Folder, block_design: BlockDesign) -> Iterator[Iterator[str]]:
    yield rules.sources(design, folder.texts)
    yield rules.connections(design)
    yield rules.clocks(design)
    yield rules.interrupts(design)
    yield rules.addresses(design, block_design.spaces(), block_design.slaves(), NEEDED_SEGMENTS)
    yield _windows(design)
    yield _settings(design)
    yield rules.build(design, folder.written, WRITTEN)


def _windows(design: Design) -> Iterator[str]:
    """Registers lie in what the processing system's port decodes, memory where there is some."""
    for segment in design.segments:
        name = "registers_window"
        if "_DDR_" in segment.slave:
            name = "ddr_low" if segment.slave.endswith("_LOW") else "ddr_high"
        window = fact(name)
        if segment.base < window.base or segment.end > window.end:
            yield f"{segment} is outside {window.base:#x} to {window.end - 1:#x}"


def _settings(design: Design) -> Iterator[str]:
    if design.part != fact("part"):
        yield f"the part is {design.part}, but a ZCU102 has {fact('part')}"
    for cell in design.cells.values():
        if cell.kind == VLNV:
            yield from _processing_system(cell)


def _processing_system(cell: Cell) -> Iterator[str]:
    if cell.values["PSU__PRESET_APPLIED"] != "1":
        yield f"{cell.name} has no DDR4 settings; apply_bd_automation the board's preset"
    if cell.values["PSU__HIGH_ADDRESS__ENABLE"] != "1":
        yield f"{cell.name} has no memory above 2 GB; set PSU__HIGH_ADDRESS__ENABLE"
    if cell.values["PSU__CRL_APB__PL0_REF_CTRL__SRCSEL"] != "IOPLL":
        yield f"{cell.name} makes its clock from another PLL than IOPLL, whose rate is known"
    clock = cell.values["PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ"]
    if divisor(float(clock)) is None:
        yield f"{cell.name} cannot make {clock} MHz of {fact('iopll_mhz')} MHz by a whole divisor"
    for name, value in cell.values.items():
        if name.endswith("__DATA_WIDTH") and int(value) not in fact("hp_widths"):
            yield f"{cell.name} has a port of {value} bits ({name}); it can have 32, 64 or 128"
