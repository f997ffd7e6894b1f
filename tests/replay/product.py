"""What replay uses of the product beyond its public names: each import of an internal is here.

Refactorings that move these change this file and nothing else of replay.
"""

import json
from dataclasses import asdict, replace
from pathlib import Path

import boards
from boards import named as board
from hw import verilog as hardware
from hw.spec.c_header import c_header
from hw.spec.config import CONFIGS, SvpeConfig, named_config
from hw.spec.image import Image
from hw.spec.isa.encoding import LAYOUTS, Instruction, encode
from qnn.backend.array.configure import config_for
from qnn.design import Design
from qnn.errors import QnnError
from qnn.ir.serialize import from_bytes, to_bytes
from qnn.ir.text import text as graph_text
from qnn.report.page import manifest, page
from sim.exercise import exercises

__all__ = [
    "CONFIGS",
    "PROJECTS",
    "REFERENCE",
    "SERIAL",
    "Image",
    "QnnError",
    "SvpeConfig",
    "board",
    "c_header",
    "config_for",
    "exercises",
    "from_bytes",
    "graph_text",
    "image_parts",
    "leave_out_verilog",
    "manifest",
    "named_config",
    "report_page",
    "to_bytes",
    "verilog",
]

# Boards whose projects are of a configuration, and the one whose memory holds a network.
REFERENCE = boards.reference().name
PROJECTS = tuple(one.name for one in boards.every() if boards.family(one) == "zynqmp")
SERIAL = boards.reference("ecp5").name
RTL_FILES = tuple(
    f"qnn_{name}.v"
    for name in (
        *("accelerator", "epilogue_row", "feature_bank", "maxima", "pe", "pick", "scale"),
        "weight_row",
    )
)
_elaborate, _elaborate_mapped = hardware.verilog, hardware.mapped_files


def verilog(config: SvpeConfig) -> dict[str, bytes]:
    """Path to content: both bodies of the accelerator."""
    plain, mapped = _elaborate(config), _elaborate_mapped(config)
    files = {f"rtl/{name}": text.encode() for name, text in plain.items()}
    return files | {f"rtl/ultrascale/{name}": text.encode() for name, text in mapped.items()}


def leave_out_verilog() -> None:
    """Let builds of this process have empty Verilog: it depends on the configuration alone."""
    hardware.verilog = lambda config, **_: dict.fromkeys(RTL_FILES, "")
    hardware.mapped_files = lambda config: {f"{name}.v": "" for name in hardware.MAPPED}


def report_page(design: Design, folder: Path) -> str:
    """The report of a build without results, and without the versions of the tools here."""
    facts = manifest(folder) | {"tools": {}}
    estimate = folder / "report/estimate_board_resources.json"
    cells = json.loads(estimate.read_bytes()) if estimate.is_file() else None
    return page(design, {}, facts, boards.shown(folder), cells)


def image_parts(image: Image) -> tuple[list[str], bytes, dict]:
    """Instructions as text, the data behind the program, and the metadata."""
    program = [_instruction(number, each) for number, each in enumerate(image.program)]
    metadata = asdict(replace(image, payload=b""))
    del metadata["payload"]
    metadata["config"] = image.config.fields
    for layer in metadata["layers"]:
        # As in the file, where few layers have one.
        if layer["image_height"] is None:
            del layer["image_height"]
    return program, image.payload[image.program_bytes :], metadata


def _instruction(number: int, instruction: Instruction) -> str:
    fields = LAYOUTS[instruction.op].decode(encode(instruction))
    # Newer fields are left out where instructions do without them, as older ones had none.
    newer = () if fields.get("neighbours") else ("neighbours",)
    shown = {name: value for name, value in fields.items() if name not in ("op", *newer)}
    values = " ".join(f"{name}={int(value)}" for name, value in shown.items())
    return f"{number} {instruction.op.name} {values}"
