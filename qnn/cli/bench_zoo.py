"""``qnn bench zoo``: which networks of a list are taken, how exactly, and at how many cycles."""

from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qnn.cli.checks import new_file, old_file
from qnn.cli.exit_codes import ExitCode
from qnn.cli.output import Json, print_json, print_table, progress
from qnn.cli.sources import CompiledFor

if TYPE_CHECKING:
    from qnn.bench.zoo.row import ZooRow


def bench_zoo(
    networks: Annotated[
        Path | None,
        typer.Argument(
            metavar="LIST",
            help="Networks, one a line: [FAMILY] MODULE:FACTORY SHAPES, as 'my_net:build 3,32,32'; "
            "tv, timm and cv name torchvision, timm and pytorchcv, own custom.py beside LIST.",
            callback=old_file(),
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            help="Results, a JSON line a network; networks that it has are not measured again.",
            callback=new_file(),
        ),
    ] = Path("zoo.jsonl"),
    only: Annotated[
        list[str] | None, typer.Option(help="MODULE:FACTORY, or a pattern; may be repeated.")
    ] = None,
    config: CompiledFor = "reference",
    terms: Annotated[int, typer.Option(min=1, max=7, help="Terms of every weight.")] = 1,
    jobs: Annotated[int, typer.Option(min=1, help="Networks at the same time.")] = 1,
    seconds: Annotated[int, typer.Option(min=1, help="That one network may take.")] = 900,
    memory: Annotated[
        int, typer.Option(min=1024, help="MiB of address space that one network may take.")
    ] = 16384,
    table: Annotated[
        Path | None,
        typer.Option(
            help="Results, of which to print the page in Markdown; measures nothing.",
            callback=old_file(),
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure a list of networks: what is taken, its fidelity, equality, cycles and times.

    Weights are random, as if trained. Fidelity is that of four terms of 4-bit codes and 16-bit
    activations to the float network, so the error of lowering alone. Each network is
    then quantized to 3-bit weights, compiled and verified by the functional simulator, in a process
    of its own. An interrupted run goes on where it was when the command is given again.
    """
    from qnn.bench.zoo.campaign import ZooCampaign, ZooLimits, read_rows
    from qnn.bench.zoo.listed import read_list
    from qnn.bench.zoo.table import page, summary

    if table is not None:
        print(page(read_rows(table)), end="")
        return
    if networks is None:
        raise typer.BadParameter("needs LIST, the networks to measure, or --table")
    listed = _chosen(read_list(networks), only or [])
    campaign = ZooCampaign(listed, networks.parent, config, terms, ZooLimits(seconds, memory))
    with progress("networks") as report:
        rows = campaign.run(out, jobs, report)
    counts = summary(rows)
    if as_json:
        print_json({**counts, "results": [row.to_fields() for row in rows]})
    else:
        _print(rows, counts)
    # After the table: what differs is what one wants to read.
    if counts["different"]:
        raise typer.Exit(ExitCode.MISMATCH)


def _chosen(listed, patterns):
    """The networks that match a pattern; without any, all."""
    for pattern in patterns:
        if not any(fnmatchcase(network.name, pattern) for network in listed):
            raise typer.BadParameter(
                f"--only needs MODULE:FACTORY of a network in the list, or a pattern, but none "
                f"matches '{pattern}'"
            )
    if not patterns:
        return listed
    return [n for n in listed if any(fnmatchcase(n.name, pattern) for pattern in patterns)]


def _print(rows: "list[ZooRow]", counts: dict[str, int]) -> None:
    table = [
        (
            row.name,
            "yes" if row.accepted else "no",
            "" if row.fidelity_db is None else f"{row.fidelity_db:.1f}",
            "" if row.mismatches is None else f"{row.mismatches:,}",
            "" if row.cycles is None else f"{row.cycles:,}",
            "" if row.utilisation is None else f"{100 * row.utilisation:.0f} %",
            f"{row.seconds:.1f}",
            row.unfit or row.failure or "; ".join(row.lacks),
        )
        for row in rows
    ]
    head = ("network", "taken", "dB", "different", "cycles", "busy", "s", "what it lacks")
    print_table("networks", head, table)
    print(
        f"{counts['networks']} networks: {counts['accepted']} taken, {counts['verified']} verified "
        f"in every value, {counts['unfit']} without room in the configuration"
    )
