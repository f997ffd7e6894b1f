"""The check of a board's project without Vivado: run its scripts, then look at what they made."""

from collections.abc import Iterator, Mapping

from boards.tcl import run
from boards.vivado import rules
from boards.vivado.block_design import BlockDesign
from boards.vivado.design import Cell, RecordedDesign
from boards.vivado.folder import Folder
from boards.vivado.project import Project
from boards.vivado.recorder import Recorder
from boards.vivado.reports import TIMING, UTILIZATION
from boards.zynqmp.clock import divisor
from boards.zynqmp.facts import HP_WIDTHS, HPM_BITS, REGISTERS_WINDOW, Facts
from boards.zynqmp.processing_system import BLOCK, VLNV, memory_segments

SCRIPT = "vivado/build.tcl"
WRITTEN = ("vivado/qnn.bit", "vivado/qnn.hwh", "vivado/qnn.xsa", TIMING, UTILIZATION)
# What every core must reach; other segments of the processing system may stay excluded.
NEEDED_SEGMENTS = ("/reg0", "_DDR_LOW")  # ends of their names


def findings(files: Mapping[str, str], facts: Facts) -> list[str]:
    """What is wrong with a project for the board of ``facts``, a line each.

    Parameters
    ----------
    files : sources and scripts of a build folder, path to text
    """
    design, folder = RecordedDesign(), Folder(files)
    project = Project(design, folder, facts.installed.value)
    preset = (VLNV, facts.preset.value)
    block_design = BlockDesign(design, folder, {VLNV: BLOCK}, preset, memory_segments(facts))
    failure = run(SCRIPT, Recorder(folder, project, block_design))
    if failure is not None:
        # Tcl's reasons have line ends, and a finding is one line.
        reason = " ".join(failure.reason.split())
        return [f"{failure.name.lstrip('/')}, line {failure.line}: {reason}"]
    for rule in _rules(design, folder, block_design, facts):
        if lines := [f"vivado: {line}" for line in rule]:
            return lines  # what later rules would say follows from these
    return []


def _rules(
    design: RecordedDesign, folder: Folder, block_design: BlockDesign, facts: Facts
) -> Iterator[Iterator[str]]:
    yield rules.sources(design, folder.texts)
    yield rules.connections(design)
    yield rules.clocks(design)
    yield rules.interrupts(design)
    yield rules.addresses(design, block_design.spaces(), block_design.slaves(), NEEDED_SEGMENTS)
    yield _windows(design, facts)
    yield _settings(design, facts)
    yield rules.build(design, folder.written, WRITTEN)


def _windows(design: RecordedDesign, facts: Facts) -> Iterator[str]:
    """Registers lie in what the processing system's port decodes, memory where there is some."""
    for segment in design.segments:
        window = REGISTERS_WINDOW.value
        if "_DDR_" in segment.slave:
            window = facts.memory["low" if segment.slave.endswith("_LOW") else "high"]
        if segment.base < window.base or segment.end > window.end:
            yield f"{segment} is outside {window.base:#x} to {window.end - 1:#x}"


def _settings(design: RecordedDesign, facts: Facts) -> Iterator[str]:
    if design.part != facts.part.value:
        yield f"the part is {design.part}, but a {facts.title} has {facts.part.value}"
    for cell in design.cells.values():
        if cell.kind == VLNV:
            yield from _processing_system(cell, facts)


def _processing_system(cell: Cell, facts: Facts) -> Iterator[str]:
    # The preset holds the settings of the DDR4 controller, which nothing else here sets.
    if cell.values["PSU__PRESET_APPLIED"] != "1":
        yield f"{cell.name} has no DDR4 settings; apply_bd_automation the board's preset"
    high, enabled = "high" in facts.memory, cell.values["PSU__HIGH_ADDRESS__ENABLE"] == "1"
    if high and not enabled:
        yield f"{cell.name} has no memory above 2 GB; set PSU__HIGH_ADDRESS__ENABLE"
    if enabled and not high:
        yield (
            f"{cell.name} has addresses for memory above 2 GB, but a {facts.title} has 2 GB; clear "
            f"PSU__HIGH_ADDRESS__ENABLE"
        )
    if cell.values["PSU__CRL_APB__PL0_REF_CTRL__SRCSEL"] != "IOPLL":
        yield f"{cell.name} makes its clock from another PLL than IOPLL, whose rate is known"
    clock, pll_mhz = cell.values["PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ"], facts.iopll_mhz.value
    if divisor(facts, float(clock)) is None:
        yield f"{cell.name} cannot make {clock} MHz of {pll_mhz} MHz by a whole divisor"
    width = cell.values["PSU__MAXIGP0__DATA_WIDTH"]
    if int(width) != HPM_BITS:
        yield (
            f"{cell.name} has a HPM0 of {width} bits, but boot images leave it at {HPM_BITS}; set "
            f"PSU__MAXIGP0__DATA_WIDTH {HPM_BITS}"
        )
    for name, value in cell.values.items():
        if name.endswith("__DATA_WIDTH") and int(value) not in HP_WIDTHS.value:
            yield f"{cell.name} has a port of {value} bits ({name}); it can have 32, 64 or 128"
