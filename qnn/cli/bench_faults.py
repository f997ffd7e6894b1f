"""``qnn bench faults``: faults planted in hardware and software, and what verify finds of them."""

from pathlib import Path
from typing import Annotated

import typer

from qnn.cli.checks import new_file
from qnn.cli.going_on import going_on
from qnn.cli.output import Json, print_json, print_table, progress
from qnn.eda import verilator

COUNTS = ("planted", "found", "localised", "equivalent", "found_by_tests")


def bench_faults(
    seed: Annotated[int, typer.Option(help="Draws the faults.")] = 0,
    hardware: Annotated[
        int, typer.Option(min=0, help="Faults of the Verilog, found by RTL simulation.")
    ] = 200,
    software: Annotated[
        int, typer.Option(min=0, help="Faults of compiler and simulators without a clock.")
    ] = 200,
    out: Annotated[
        Path,
        typer.Option(
            help="Outcomes, a JSON line a fault; faults that it has are not tried again.",
            callback=new_file(),
        ),
    ] = Path("faults.jsonl"),
    as_json: Json = False,
) -> None:
    """Plant faults, verify networks that reach every instruction, and count what is found.

    A fault is localised if what finds it names the layer in which values go wrong first. Those
    that survive are listed. It takes about ten seconds a fault. An interrupted campaign goes on
    where it was when the command is given again.
    """
    if hardware:
        # Each fault is a simulator of its own.
        verilator.compiler()
    from qnn.bench.faults import campaign
    from qnn.bench.faults.outcome_file import OutcomeFile

    # Hardware first: where tools are missing, that shows at once.
    found, kept = {}, OutcomeFile(out)
    with going_on(None, named=True):
        if hardware:
            with progress("hardware") as report:
                found["hardware"] = campaign.hardware(hardware, seed, report, kept)
        if software:
            with progress("software") as report:
                found["software"] = campaign.software(software, seed, report, kept)
    fields = {name: each.to_fields() for name, each in found.items()}
    totals = {key: sum(each[key] for each in fields.values()) for key in COUNTS}
    if as_json:
        print_json(totals | fields)
        return
    rows = [(name, *(f"{each[key]:,}" for key in COUNTS)) for name, each in fields.items()]
    print_table("planted faults", ("in", *COUNTS), rows)
    for each in found.values():
        for survivor in each.survivors:
            changed = ", and changes what is compiled" if survivor.changes_artifacts else ""
            print(f"survives: {survivor.fault}{changed}")
