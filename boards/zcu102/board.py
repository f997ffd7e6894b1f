"""The ZCU102: a Vivado project that builds a bitstream for one to four cores."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from string import Template

from boards.zcu102.check import findings
from boards.zcu102.facts import divisor, fact, near_clocks
from hw.spec.config import SvpeConfig
from hw.spec.registers import WINDOW_BYTES
from hw.spec.resources import USABLE_BRAM18, USABLE_LUT, XCZU9EG, Cells, estimate, total
from qnn.errors import CompileError

HERE = Path(__file__).parent
COPIED = ("project.tcl", "build.tcl", "qnn.xdc")
CLOCK_MHZ = 250
REGISTERS_STEP = 0x1_0000  # from one core's registers to the next's
JOBS = 4
PLAIN_ELEMENT, MAPPED_ELEMENT = "rtl/qnn_pe.v", "rtl/ultrascale/qnn_pe.v"


class Zcu102:
    """See ``boards.Board``."""

    name = "zcu102"
    config = "zcu102"
    tool = "Vivado"
    project = "vivado/build.tcl"

    def check_fits(self, config: SvpeConfig, cores: int, clock_mhz: float | None = None) -> None:
        if not 1 <= cores <= fact("hp_ports"):
            raise CompileError(
                f"zcu102: cores must be 1 to {fact('hp_ports')}, one for each memory port of the "
                f"processing system, not {cores}"
            )
        _divisor(CLOCK_MHZ if clock_mhz is None else clock_mhz)
        try:
            cells = total(config).times(cores)
        except ValueError as error:
            raise CompileError(f"zcu102: {error}") from None
        for kind, usable in _usable().items():
            needed = getattr(cells, kind)
            if needed > usable:
                raise CompileError(
                    f"zcu102: {cores} x {config} takes {needed:,} {kind} (estimated), but "
                    f"{usable:,} of {getattr(XCZU9EG, kind):,} are usable; take fewer cores, rows, "
                    f"columns or words"
                )

    def files(
        self,
        config: SvpeConfig,
        built: Mapping[str, bytes],
        cores: int,
        clock_mhz: float | None = None,
    ) -> dict[str, bytes]:
        clock = CLOCK_MHZ if clock_mhz is None else clock_mhz
        verilog = sorted(name for name in built if name.startswith("rtl/") and name.count("/") == 1)
        sources = [MAPPED_ELEMENT if name == PLAIN_ELEMENT else name for name in verilog]
        texts = {
            "settings.tcl": _settings(config, sources, cores, clock),
            "README.md": _readme(config, cores, clock),
            **{name: (HERE / name).read_text() for name in COPIED},
        }
        resources = json.dumps(_resources(config, cores), indent=2, sort_keys=True) + "\n"
        return {
            **{f"vivado/{name}": text.encode() for name, text in texts.items()},
            "report/estimate_board_resources.json": resources.encode(),
        }

    def summary(self, config: SvpeConfig, cores: int, clock_mhz: float | None = None) -> str:
        cells = total(config).times(cores)
        shares = ", ".join(
            f"{getattr(cells, kind) / getattr(XCZU9EG, kind):.0%} of {name}"
            for kind, name in (("lut", "LUTs"), ("ff", "flip-flops"), ("bram18", "block RAM"))
        )
        clock = CLOCK_MHZ if clock_mhz is None else clock_mhz
        return (
            f"zcu102, {cores} core{'s' if cores > 1 else ''} at {clock:g} MHz: {shares} "
            f"(estimated); not run in Vivado: vivado -mode batch -source vivado/build.tcl"
        )

    def findings(self, files: Mapping[str, str]) -> list[str]:
        return findings(files)


def registers_base(core: int) -> int:
    """Where a core's registers are, for the processing system."""
    return fact("registers_window").base + core * REGISTERS_STEP


def _divisor(clock_mhz):
    if not 0 < clock_mhz <= fact("most_mhz"):
        raise CompileError(
            f"zcu102: the clock must be above 0 and at most {fact('most_mhz')} MHz, which is what "
            f"a clock tree of the device can have, not {clock_mhz:g}"
        )
    found = divisor(clock_mhz)
    if found is None:
        near = " or ".join(f"{mhz:.6g}" for mhz in near_clocks(clock_mhz))
        raise CompileError(
            f"zcu102: the clock comes from {fact('iopll_mhz')} MHz by two divisors of at most "
            f"{fact('pl_clock_divisors')}, which do not give {clock_mhz:g} MHz; take {near}"
        )
    return found


def _settings(config, sources, cores, clock_mhz):
    low, high, window = fact("ddr_low"), fact("ddr_high"), fact("registers_window")
    values = {
        "part": fact("part"),
        "board_part": fact("board_part"),
        "cores": cores,
        "bus_bits": config.bus_bits,
        "clock_mhz": f"{clock_mhz:g}",
        "registers_base": f"{window.base:#x}",
        "registers_step": f"{REGISTERS_STEP:#x}",
        "registers_bytes": f"{WINDOW_BYTES:#x}",
        "ddr_low_base": f"{low.base:#x}",
        "ddr_low_bytes": f"{low.bytes:#x}",
        "ddr_high_base": f"{high.base:#x}",
        "ddr_high_bytes": f"{high.bytes:#x}",
        "jobs": JOBS,
    }
    lines = [f"set {name} {value}" for name, value in values.items()]
    listed = "\n".join(f"    {name}" for name in sources)
    return "\n".join([f"# {cores} x {config}", *lines, f"set sources {{\n{listed}\n}}", ""])


def _readme(config, cores, clock_mhz):
    cells, number = total(config).times(cores), divisor(clock_mhz)
    rows = [
        f"| core_{core} | {registers_base(core):#x}, {WINDOW_BYTES} bytes | S_AXI_HP{core}_FPD, "
        f"{config.bus_bits} bits | pl_ps_irq0[{core}], GIC {fact('interrupts')[core]} |"
        for core in range(cores)
    ]
    shares = {
        kind: f"{getattr(cells, kind):,} of {getattr(XCZU9EG, kind):,} "
        f"({getattr(cells, kind) / getattr(XCZU9EG, kind):.0%})"
        for kind in asdict(cells)
    }
    reference = fact("reference_mhz")
    return Template((HERE / "README.md.in").read_text()).substitute(
        shares,
        cores=cores,
        config=config,
        part=fact("part"),
        clock_mhz=f"{clock_mhz:g}",
        divisor=number,
        actual_mhz=f"{reference * fact('iopll_multiplier') / number:.3f}",
        reference_mhz=reference,
        table="\n".join(rows),
        low=_span(fact("ddr_low")),
        high=_span(fact("ddr_high")),
    )


def _span(window):
    return f"{window.base:#x} to {window.end - 1:#x}"


def _usable() -> dict[str, int]:
    return {
        "lut": int(XCZU9EG.lut * USABLE_LUT),
        "ff": XCZU9EG.ff,
        "bram18": int(XCZU9EG.bram18 * USABLE_BRAM18),
        "dsp": XCZU9EG.dsp,
    }


def _resources(config, cores):
    """Cells of each block of a core, and of all cores, under keys that say estimated."""
    blocks = {name: _marked(cells) for name, cells in estimate(config).items()}
    return {
        "cores": cores,
        "device": {name: getattr(XCZU9EG, name) for name in ("name", "lut", "ff", "bram18", "dsp")},
        "usable": _usable(),
        "blocks_of_a_core": blocks,
        "all_cores": _marked(total(config).times(cores)),
    }


def _marked(cells: Cells) -> dict[str, int]:
    return {f"estimated_{kind}": count for kind, count in asdict(cells).items()}
