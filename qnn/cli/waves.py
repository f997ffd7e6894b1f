"""``--waves``: the options of commands that record signals of a simulation."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qnn.cli.checks import new_file

if TYPE_CHECKING:
    from qnn.backend.waves import Waves
    from qnn.design import Design

WavesFile = Annotated[
    Path | None,
    typer.Option(
        "--waves",
        help="Record all signals around the first difference, else from the start, in a second "
        "run of the hardware: a file that ends with .fst or .vcd.",
        callback=new_file(".fst", ".vcd"),
    ),
]
# As many as sim.record_waves takes by itself; help must not wait for its import.
WavesCycles = Annotated[
    int, typer.Option("--waves-cycles", min=1, help="Cycles that --waves records.")
]
DEFAULT_CYCLES = 2000


def check_options(design: "Design", device: str, file: Path | None, cycles: int) -> None:
    """Refuse, before anything runs, waves that cannot be recorded."""
    # In here: recording loads the simulator, which a run without waves may not need.
    from sim.record_waves import check_waves

    if file is None:
        return
    try:
        check_waves(design, device, file, cycles)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def waves_result(waves: "Waves | None") -> dict | None:
    """What was recorded, for JSON."""
    # null in JSON, as every key is there in every result.
    if waves is None:
        return None
    return {"file": str(waves.file), "first_cycle": waves.first, "last_cycle": waves.last}
