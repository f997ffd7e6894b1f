"""The netlists that ``qnn bench timing`` analyses: a core, its blocks, elements of DSP blocks."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hw.spec.config import SvpeConfig
from hw.spec.verilog_files import TOP
from qnn.eda.blocks import parts
from qnn.eda.synthesis import synthesis

CORE, ELEMENTS = "core", "elements"
BLOCKS = ("array", "buffers", "crossbar", "epilogue", "control", "shell")
BLOCK_TOP = "qnn_block"


@dataclass(frozen=True, kw_only=True)
class TimedNetlist:
    """A netlist as Yosys writes it.

    Members
    -------
    top : its top module
    twice : the port of a clock of twice the rate, if it has one
    """

    name: str
    written: Any
    top: str
    twice: str | None = None


def netlists(block: str, config: SvpeConfig) -> Iterator[TimedNetlist]:
    """One of a core, one of each part of a block, or one of each kind of element.

    Raises
    ------
    ToolError
        Yosys is not installed, or rejects the Verilog.
    """
    from hw.verilog import files, verilog

    if block == CORE:
        # As counts of whole accelerators are made, so that both share what is cached.
        written = synthesis(verilog(config, mapped=True), TOP, flatten=True)[1]
        yield TimedNetlist(name=CORE, written=written, top=TOP)
        return
    if block == ELEMENTS:
        yield from _elements(config)
        return
    for make in parts(config)[block]:
        part = make()
        yield TimedNetlist(
            name=f"{block}: {type(part).__name__}",
            written=synthesis(files(part, BLOCK_TOP, mapped=True), BLOCK_TOP, flatten=True)[1],
            top=BLOCK_TOP,
        )


def _elements(config):
    """An element of shifts as the core has them, and those that ``qnn bench array`` compares."""
    from hw.packed import FAST, PackedElement
    from hw.pe import ProcessingElement
    from hw.verilog import files
    from qnn.bench.array import PACKED_KINDS, config_of

    # By themselves, as ``qnn bench array`` counts them: an array adds no path between elements that
    # is longer than those in them.
    def element(name, made, twice=None):
        sources = files(made, BLOCK_TOP, mapped=True)
        written = synthesis(sources, BLOCK_TOP, flatten=True)[1]
        return TimedNetlist(name=name, written=written, top=BLOCK_TOP, twice=twice)

    shift = f"shift, {config.weight_bits} x {config.activation_bits}"
    yield element(f"{ELEMENTS}: {shift}", ProcessingElement(config))
    # Yosys has no clock of twice the rate: the port's name tells which one it is.
    for bits, double in PACKED_KINDS:
        name = f"{ELEMENTS}: DSP blocks{' at twice the clock' * double}, {bits} x {bits}"
        made = PackedElement(config_of("multiply", bits, bits), double=double)
        yield element(name, made, f"{FAST}_clk" if double else None)
