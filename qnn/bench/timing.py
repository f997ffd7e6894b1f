"""The netlists that ``qnn bench timing`` analyses: a core, and each of its blocks by itself."""

from collections.abc import Mapping

from hw.spec.config import SvpeConfig
from hw.spec.verilog_files import TOP
from qnn.eda.blocks import parts
from qnn.eda.synthesis import synthesis

CORE = "core"
BLOCKS = ("array", "buffers", "crossbar", "epilogue", "control", "shell")
BLOCK_TOP = "qnn_block"


def netlists(block: str, config: SvpeConfig) -> Mapping[str, tuple[Mapping, str]]:
    """By name, a netlist and its top module: one of a core, or one of each part of a block.

    Raises
    ------
    ToolError
        Yosys is not installed, or rejects the Verilog.
    """
    from hw.verilog import files, verilog

    if block == CORE:
        return {CORE: (synthesis(verilog(config, mapped=True), TOP, flatten=True)[1], TOP)}
    found = {}
    for make in parts(config)[block]:
        part = make()
        name = f"{block}: {type(part).__name__}"
        written = synthesis(files(part, BLOCK_TOP, mapped=True), BLOCK_TOP, flatten=True)[1]
        found[name] = written, BLOCK_TOP
    return found
