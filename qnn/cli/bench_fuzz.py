"""``qnn bench fuzz``: hostile files to every reader, and what came of them."""

from typing import Annotated

import typer

from qnn.bench.fuzz.target import READERS
from qnn.cli.exit_codes import ExitCode
from qnn.cli.output import Json, print_json, print_table, progress


def bench_fuzz(
    seed: Annotated[int, typer.Option(help="Decides the files, with the number of each.")] = 0,
    count: Annotated[int, typer.Option(min=1, help="Files to try.")] = 1000,
    first: Annotated[int, typer.Option(min=0, help="Number of the first file.")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Processes that read.")] = 1,
    only: Annotated[
        list[str] | None,
        typer.Option(help="A reader, as the table names it; files are for those given alone."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Give hostile files to every reader; each must be taken or refused.

    An input is escaped if another error than a refusal comes of it, or if it wants more than 2 GB;
    it is hung if nothing comes of it for 30 s. Seed and number give the same file again.
    """
    wrong = next((name for name in only or () if name not in READERS), None)
    if wrong is not None:
        raise typer.BadParameter(f"--only needs one of {', '.join(READERS)}, not '{wrong}'")
    from qnn.bench.fuzz.campaign import run_campaign

    with progress("fuzz") as report:
        campaign = run_campaign(
            seed, count, first=first, jobs=jobs, targets=_chosen(only), progress=report
        )
    fields = campaign.to_fields()
    if as_json:
        print_json(fields)
    else:
        names = ("refused", "accepted", "escaped", "hung")
        rows = [
            (name, *(f"{found.get(kind, 0):,}" for kind in names))
            for name, found in fields["by_target"].items()
        ]
        rows.append(("all", *(f"{fields[kind]:,}" for kind in names)))
        print_table("hostile files", ("reader", *names), rows)
        # A finding is one command away from being seen again.
        given = "".join(f" --only '{name}'" for name in only or ())
        for finding in campaign.findings:
            place = f"--first {finding.index}{given}"
            print(f"{finding.outcome} {finding.target} {place}: {finding.text}")
    # After the table: what fails is what one wants to read.
    if not campaign.passed:
        raise typer.Exit(ExitCode.MISMATCH)


def _chosen(only):
    """The readers of these names; None: all."""
    if not only:
        return None
    from qnn.bench.fuzz.targets import TARGETS

    return [each for each in TARGETS if each.name in only]
