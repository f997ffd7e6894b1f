"""``qnn synth``: a build folder in, FPGA cell counts out, or a board's bitstream."""

import time
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qnn.cli.output import Json, print_json, print_table, progress
from qnn.cli.results import keep_result
from qnn.cli.sources import Build, read_design
from qnn.errors import CompileError

if TYPE_CHECKING:
    from qnn.design import Design


class Part(StrEnum):
    """What to count."""

    ARRAY = "array"
    ACCELERATOR = "accelerator"


class Board(StrEnum):
    """Boards whose bitstream open tools make."""

    ULX3S = "ulx3s"


def synth(
    build: Build,
    part: Annotated[Part, typer.Option(help="What to count.")] = Part.ARRAY,
    board: Annotated[
        Board | None, typer.Option(help="Make this board's bitstream instead; takes minutes.")
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", help="Counts as JSON.")] = None,
    as_json: Json = False,
) -> None:
    """Count the FPGA cells of the design in BUILD.

    Yosys synthesises it for UltraScale+. With --board ulx3s, Yosys, nextpnr and ecppack make the
    bitstream of a build that was compiled for that board.
    """
    from qnn.report import records

    design = read_design(build)
    said, kept = count(design, part) if board is None else make_bitstream(build, board)
    name = (board or part).value
    keep_result(build, f"synth_{name}", kept)
    said = {"part": name, **said}
    if out is not None:
        out.write_text(records.text(said))
    if as_json:
        print_json(said)
        return
    print_table(f"{name} of {design.config}", ("cells", "count"), rows(said))


def count(design: "Design", part: Part) -> tuple[dict, dict]:
    """Cells for UltraScale+: to say, and to keep."""
    from qnn.eda.synthesis import accelerator_resources, array_resources

    counts = array_resources if part is Part.ARRAY else accelerator_resources
    cells = asdict(counts(design.config))
    return cells, {"measured_cells": cells, "given_available_cells": zcu102()}


def zcu102() -> dict[str, int]:
    """Cells of the ZCU102's chip, which the counts are for."""
    from hw.spec.resources import XCZU9EG

    return {kind: getattr(XCZU9EG, kind) for kind in ("lut", "ff", "dsp", "bram18")}


def make_bitstream(build: Path, board: Board) -> tuple[dict, dict]:
    """Run the board's commands in its folder: what to say, and what to keep.

    Cells are counted; a clock that a timing analysis gives is an estimate.
    """
    from boards.ulx3s.commands import BITSTREAM, REPORT, commands
    from qnn.eda import bitstream

    folder = build / board.value
    if not folder.is_dir():
        raise CompileError(
            f"{build}: a bitstream needs the board's files, but this build has no {folder.name}/; "
            f"compile the model with --board {board.value}"
        )
    sources = sorted(path.name for path in folder.glob("*.v"))
    started = time.perf_counter()
    with progress(f"{board.value}: yosys, nextpnr, ecppack") as report:
        made = bitstream.build(folder, commands(sources), BITSTREAM, REPORT, report)
    kept = {
        "tools": made.versions,
        "measured_cells": made.used,
        "given_available_cells": made.available,
        "estimated_fmax_mhz": made.fmax_mhz,
        "given_clock_mhz": made.clock_mhz,
    }
    return {"seconds": time.perf_counter() - started, **asdict(made)}, kept


def rows(said: dict) -> list[tuple[str, str]]:
    """The table; a cell of a chip that is known with how many there are."""
    if "used" not in said:
        return [(name, f"{number:,}") for name, number in said.items() if name != "part"]
    available = said["available"]
    cells = [(key, f"{n:,} of {available[key]:,}") for key, n in said["used"].items()]
    clock = f"{said['fmax_mhz']:.1f} MHz, of {said['clock_mhz']:.1f} MHz that it needs"
    return [*cells, ("fmax (timing analysis)", clock)]
