"""``qnn synth``: a build folder in, FPGA cell counts out."""

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from qnn.cli.output import Json, print_json, print_table
from qnn.cli.sources import Build, read_design


class Part(StrEnum):
    """What to count."""

    ARRAY = "array"
    ACCELERATOR = "accelerator"


def synth(
    build: Build,
    part: Annotated[Part, typer.Option(help="What to count.")] = Part.ARRAY,
    out: Annotated[Path | None, typer.Option("-o", help="Counts as JSON.")] = None,
    as_json: Json = False,
) -> None:
    """Count the FPGA cells of the design in BUILD.

    Yosys synthesises it for UltraScale+.
    """
    import json

    from sim.synthesis import accelerator_resources, array_resources

    config = read_design(build).config
    count = array_resources if part is Part.ARRAY else accelerator_resources
    cells = asdict(count(config))
    if out is not None:
        out.write_text(json.dumps({"part": part.value, **cells}, indent=2) + "\n")
    if as_json:
        print_json({"part": part.value, **cells})
        return
    rows = [(name, f"{number:,}") for name, number in cells.items()]
    print_table(f"{part.value} of {config}", ("cells", "count"), rows)
