"""``qnn synth``: a build folder in, FPGA cell counts out, a clock, or a board's bitstream."""

import time
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import boards
from boards.cell_kinds import cell_uses
from qnn.cli.checks import new_file, one_of, refuse_given
from qnn.cli.output import Json, print_json, print_table, progress
from qnn.cli.results import keep_result
from qnn.cli.sources import Build, read_array_design
from qnn.cli.timing_tables import (
    ANALYSIS,
    Fill,
    Grade,
    Plot,
    Seed,
    SpeedGrade,
    UnusedPins,
    analysed,
    print_timing,
)
from qnn.errors import CompileError
from qnn.files import write_whole

if TYPE_CHECKING:
    from qnn.design import Design
    from qnn.eda.timing.analysis import TimingResult


class SynthesisPart(StrEnum):
    """The part of the design whose cells are counted."""

    ARRAY = "array"
    ACCELERATOR = "accelerator"


def synth(
    context: typer.Context,
    build: Build,
    part: Annotated[SynthesisPart, typer.Option(help="What to count.")] = SynthesisPart.ARRAY,
    board: Annotated[
        str | None,
        typer.Option(
            help="Make this board's bitstream instead; takes minutes.",
            callback=one_of(boards.names()),
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", help="Counts as JSON.", callback=new_file())
    ] = None,
    timing: Annotated[
        bool, typer.Option("--timing", help="Estimate the accelerator's clock; takes minutes.")
    ] = False,
    speed_grade: Grade = SpeedGrade.TWO,
    unused_pins: UnusedPins = False,
    fill: Fill = 0.75,
    seed: Seed = 0,
    plot: Plot = None,
    as_json: Json = False,
) -> None:
    """Count the FPGA cells of the design in BUILD.

    Yosys synthesises it for UltraScale+. With --board, Yosys, nextpnr and ecppack make the
    bitstream of a build that was compiled for that board. With --timing, the accelerator of
    UltraScale+ is placed and its paths are timed, both by estimate; --speed-grade, --unused-pins,
    --fill, --seed and --plot are of that analysis.
    """
    from qnn.report import records

    _check_together(context, timing, board)
    design = read_array_design(build, "synth")
    if timing:
        found = estimate_clock(
            build, design, speed_grade.value, unused=unused_pins, fill=fill, seed=seed, plot=plot
        )
        if out is not None:
            write_whole(out, records.text(found.to_fields()))
        if as_json:
            print_json(found.to_fields())
        else:
            print_timing("accelerator", found)
        return
    # What is said has times; what is kept does not, so that equal builds have equal records.
    if board is None:
        said, kept = count(build, design, part)
    else:
        said, kept = make_bitstream(build, design, board)
    name = board or part.value
    keep_result(build, f"synth_{name}", kept)
    target = boards.counted_for(build) if board is None else boards.named(board)
    uses = list(cell_uses(target.kinds, kept["measured_cells"], kept["given_available_cells"]))
    said = {"part": name, "device": target.device.name, **said}
    said["utilization"] = [{**asdict(use), "share": use.share} for use in uses]
    # A file besides the output: a CI keeps it.
    if out is not None:
        write_whole(out, records.text(said))
    if as_json:
        print_json(said)
        return
    print_table(
        f"{name}, on {target.title} ({target.device.name})",
        ("cells", "used", "available", "share"),
        [(use.name, *use.texts) for use in uses],
    )
    if "fmax_mhz" in said:
        print(
            f"fmax (timing analysis): {said['fmax_mhz']:.1f} MHz, of {said['clock_mhz']:.1f} MHz "
            f"that it needs"
        )


def _check_together(context: typer.Context, timing: bool, board: str | None) -> None:
    """Raise where one option leaves nothing for another to say."""
    if timing and board is not None:
        raise typer.BadParameter(
            "it is of UltraScale+, and --board makes the bitstream of another device; give one",
            param_hint="'--timing'",
        )
    # The analysis and the bitstream are of the whole accelerator.
    if timing or board is not None:
        of_counts = f"is of counts; leave it out with {'--timing' if timing else '--board'}"
        refuse_given(context, ("part",), of_counts)
    if not timing:
        refuse_given(context, ANALYSIS, "is of the clock's estimate; give --timing as well")


def estimate_clock(
    build: Path,
    design: "Design",
    grade: str,
    *,
    unused: bool,
    fill: float,
    seed: int,
    plot: Path | None,
) -> "TimingResult":
    """Place and time the accelerator; the result is kept for ``qnn report``."""
    from hw.spec.verilog_files import TOP, synthesis_texts
    from qnn.eda.synthesis import synthesis
    from qnn.report.timing import BEGINS, kept

    if plot is not None:
        from qnn.bench.pictures import check

        check("timing", "--plot")
    with progress("accelerator: yosys"):
        _, netlist = synthesis(synthesis_texts(design.built), TOP, flatten=True)
    found = analysed(netlist, TOP, "accelerator", grade, unused=unused, fill=fill, seed=seed)
    keep_result(build, f"{BEGINS}{grade}", kept(found.to_fields()))
    if plot is not None:
        from qnn.bench.timing_plot import write_plot

        write_plot({"accelerator": found}, plot)
    return found


def count(build: Path, design: "Design", part: SynthesisPart) -> tuple[dict, dict]:
    """Cells for UltraScale+: to say, and to keep beside those of the board's chip."""
    from hw.spec.verilog_files import synthesis_texts
    from qnn.eda.synthesis import accelerator_cells, array_cells

    counted = array_cells if part is SynthesisPart.ARRAY else accelerator_cells
    # The files of the build, and not what its configuration would give.
    # An accelerator takes Yosys about a minute.
    with progress(f"{part.value}: yosys"):
        cells = asdict(counted(synthesis_texts(design.built)))
    device = boards.counted_for(build).device
    available = {kind: getattr(device, kind) for kind in ("lut", "ff", "dsp", "bram18")}
    return cells, {"measured_cells": cells, "given_available_cells": available}


def make_bitstream(build: Path, design: "Design", board: str) -> tuple[dict, dict]:
    """Run the board's commands in its folder: what to say, and what to keep.

    Cells are counted; a clock that a timing analysis gives is an estimate.

    Raises
    ------
    CompileError
        Open tools do not know the board's device, or the build is for another board.
    """
    from qnn.eda import bitstream

    flow = boards.named(board).open_flow
    if flow is None:
        known = ", ".join(one.name for one in boards.every() if one.open_flow)
        raise CompileError(
            f"{board}: its bitstream needs {boards.named(board).tool}, which is not open; boards "
            f"whose bitstream 'qnn synth' makes: {known}"
        )
    folder = build / flow.folder
    if not folder.is_dir():
        raise CompileError(
            f"{build}: a bitstream needs the board's files, but this build has no {folder.name}/; "
            f"compile the model with --board {board}"
        )
    # Sorted, as the order of files decides names in the netlist.
    # Before minutes of tools: what they would build must be what was verified.
    _, texts = boards.project_of(build)
    for finding in boards.named(board).findings(texts):
        raise CompileError(f"{build}: {finding}")
    # Those of the build alone, which were held to its manifest: not what else lies there.
    inside = (Path(name) for name in design.built if name.endswith(".v"))
    sources = sorted(path.name for path in inside if path.parent == Path(flow.folder))
    started = time.perf_counter()
    # The names of the tools, as one wonders for minutes what is running.
    with progress(f"{board}: yosys, nextpnr, ecppack") as report:
        made = bitstream.build(folder, flow.commands(sources), flow.bitstream, flow.report, report)
    kept = {
        "tools": made.versions,
        "measured_cells": made.used,
        "given_available_cells": made.available,
        "estimated_fmax_mhz": made.fmax_mhz,
        "given_clock_mhz": made.clock_mhz,
    }
    if made.critical_path is not None:
        kept["critical_path"] = made.critical_path
    return {"seconds": time.perf_counter() - started, **asdict(made)}, kept
