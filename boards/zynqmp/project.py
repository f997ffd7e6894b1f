"""The files that a Zynq UltraScale+ board adds to a build: the Vivado project and its estimate."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from string import Template

from boards.zynqmp.clock import divisor
from boards.zynqmp.facts import INTERRUPTS, REGISTERS_WINDOW, Facts
from boards.zynqmp.overlay import overlay
from hw.spec.config import SvpeConfig
from hw.spec.registers import WINDOW_BYTES
from hw.spec.resources import Cells, estimate, total, usable
from hw.spec.verilog_files import synthesis_files

HERE = Path(__file__).parent
SETTINGS = "vivado/settings.tcl"
CONSTRAINTS = "qnn.xdc"
# 64 KiB: more than a core's 4 KiB, so that addresses are easy to read.
REGISTERS_STEP = 0x1_0000  # from one core's registers to the next's
JOBS = 4
ASSIGN_MEMORY = """\
    assign_bd_address -offset $ddr_@{low}_base -range $ddr_@{low}_bytes \\
        -target_address_space $space [get_bd_addr_segs ${side}_DDR_@{LOW}]
"""


class TclTemplate(Template):
    """Tcl with placeholders behind @, because $ is Tcl's own."""

    # Tcl uses the dollar itself.
    delimiter = "@"


def files(
    facts: Facts, config: SvpeConfig, built: Mapping[str, bytes], cores: int, clock_mhz: float
) -> dict[str, bytes]:
    """Path in the build folder to content; ``built`` is what is there already."""
    # Only here: it loads NumPy, which naming a board must not.
    from boards.zynqmp.pblocks import constraints

    texts = {
        "settings.tcl": _settings(facts, config, synthesis_files(built), cores, clock_mhz),
        "README.md": _readme(facts, config, cores, clock_mhz),
        "project.tcl": _project(facts),
        "qnn.dtso": overlay(facts, config, tuple(map(registers_base, range(cores))), clock_mhz),
        "build.tcl": (HERE / "build.tcl").read_text(),
        CONSTRAINTS: (HERE / CONSTRAINTS).read_text() + constraints(facts.device.name, cores),
    }
    resources = (
        json.dumps(_resources(facts, config, cores, clock_mhz), indent=2, sort_keys=True) + "\n"
    )
    return {
        **{f"vivado/{name}": text.encode() for name, text in texts.items()},
        "report/estimate_board_resources.json": resources.encode(),
    }


def evidence(facts: Facts, build: Path) -> int:
    """2 if the project of a build folder names the board, 1 if only its part, else 0."""
    path = build / SETTINGS
    text = path.read_text(errors="replace") if path.is_file() else ""
    # Boards may share a part; only one has this board_part.
    if f"set board_part {facts.board_part.value}\n" in text:
        return 2
    return int(f"set part {facts.part.value}\n" in text)


def registers_base(core: int) -> int:
    """The address of a core's registers, as the processing system counts."""
    return REGISTERS_WINDOW.value.base + core * REGISTERS_STEP


def _settings(facts, config, sources, cores, clock_mhz):
    memory = {
        f"ddr_{window}_{name}": f"{getattr(where, name):#x}"
        for window, where in facts.memory.items()
        for name in ("base", "bytes")
    }
    values = {
        "part": facts.part.value,
        "board_part": facts.board_part.value,
        "cores": cores,
        "bus_bits": config.bus_bits,
        "clock_mhz": f"{clock_mhz:g}",
        "registers_base": f"{REGISTERS_WINDOW.value.base:#x}",
        "registers_step": f"{REGISTERS_STEP:#x}",
        "registers_bytes": f"{WINDOW_BYTES:#x}",
        **memory,
        "jobs": JOBS,
    }
    lines = [f"set {name} {value}" for name, value in values.items()]
    listed = "\n".join(f"    {name}" for name in sources)
    return "\n".join([f"# {cores} x {config}", *lines, f"set sources {{\n{listed}\n}}", ""])


def _project(facts):
    assign = TclTemplate(ASSIGN_MEMORY)
    windows = (assign.substitute(low=name, LOW=name.upper()) for name in facts.memory)
    return TclTemplate((HERE / "project.tcl.in").read_text()).substitute(
        title=facts.title,
        high_address=int("high" in facts.memory),
        assign_memory="".join(windows),
    )


def _readme(facts, config, cores, clock_mhz):
    cells, number = total(config).times(cores), divisor(facts, clock_mhz)
    rows = [
        f"| core_{core} | {registers_base(core):#x}, {WINDOW_BYTES} bytes | S_AXI_HP{core}_FPD, "
        f"{config.bus_bits} bits | pl_ps_irq0[{core}], GIC {INTERRUPTS.value[core]} |"
        for core in range(cores)
    ]
    shares = {
        kind: f"{count:,} of {getattr(facts.device, kind):,} "
        f"({count / getattr(facts.device, kind):.0%})"
        for kind, count in asdict(cells).items()
    }
    reference_mhz = facts.reference_mhz.value
    return Template((HERE / "README.md.in").read_text()).substitute(
        shares,
        cores=cores,
        config=config,
        title=facts.title,
        part=facts.part.value,
        clock_mhz=f"{clock_mhz:g}",
        divisor=number,
        actual_mhz=f"{reference_mhz * facts.iopll_multiplier.value / number:.3f}",
        reference_mhz=reference_mhz,
        table="\n".join(rows),
        memory=" and ".join(f"{w.base:#x} to {w.end - 1:#x}" for w in facts.memory.values()),
    )


def _resources(facts, config, cores, clock_mhz):
    """Cells of each block of a core, and of all cores, under keys that say estimated."""
    device = facts.device
    return {
        "cores": cores,
        "given_clock_mhz": clock_mhz,
        "device": {name: getattr(device, name) for name in ("name", "lut", "ff", "bram18", "dsp")},
        "usable": usable(device),
        "blocks_of_a_core": {name: _marked(cells) for name, cells in estimate(config).items()},
        "all_cores": _marked(total(config).times(cores)),
    }


def _marked(cells: Cells) -> dict[str, int]:
    return {f"estimated_{kind}": count for kind, count in asdict(cells).items()}
