"""``qnn bench accuracy``: the accuracy of every method, run after run or several at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qnn.cli.checks import new_file, new_folder
from qnn.cli.farm_options import RayAddress, Workers
from qnn.cli.output import Json, print_json, print_table, progress

# For annotations alone: the modules load torch.
if TYPE_CHECKING:
    from qnn.bench.results import Result
    from qnn.bench.table_run import TableRun


def bench_accuracy(
    data: Annotated[
        Path | None, typer.Option(help="Folder with CIFAR-10, stories and trained weights.")
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            help="Results, a JSON line a run; runs that it has are not repeated.",
            callback=new_file(),
        ),
    ] = Path("results.jsonl"),
    only: Annotated[
        list[str] | None, typer.Option(help="Name of a run, or a pattern; may be repeated.")
    ] = None,
    quick: Annotated[bool, typer.Option(help="A few runs on digits; needs no data.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="Print the names of the runs.")] = False,
    markdown: Annotated[
        bool, typer.Option(help="Print the table of what is in the results, and run nothing.")
    ] = False,
    plots: Annotated[
        Path | None, typer.Option(help="Folder for pictures.", callback=new_folder)
    ] = None,
    workers: Workers = None,
    ray: RayAddress = None,
    as_json: Json = False,
) -> None:
    """Measure the accuracy of every method, on the integers that it exports.

    An interrupted run goes on where it was when the command is given again. With --workers or --ray
    several runs are under way at a time.
    """
    from qnn.bench.runs import QUICK, RUNS, select

    runs = select(QUICK if quick else RUNS, only or ())
    if list_:
        _print_list(runs, as_json)
        return
    results = _known(runs, out) if markdown else _measured(runs, out, data, workers, ray)
    # Before the table, so that the paths do not come after it.
    if plots is not None:
        _plot(results, plots)
    _print(results, markdown, as_json)


def _measured(
    runs: tuple["TableRun", ...],
    out: Path,
    data: Path | None,
    workers: int | None,
    ray: str | None,
) -> "list[Result]":
    import sys

    found = {}
    for run, result, now in _carried_out(runs, out, data, workers, ray):
        found[run.name] = result
        score, unit = result.score
        text = f"{run.name}: {score:.2f}{unit}, {result.seconds:.1f} s" + ("" if now else ", known")
        # On standard error: standard output has the table, or JSON alone.
        print(text, file=sys.stderr)
    # Workers end in an order of their own.
    return [found[run.name] for run in runs]


def _carried_out(
    runs: tuple["TableRun", ...],
    out: Path,
    data: Path | None,
    workers: int | None,
    ray: str | None,
) -> Iterator[tuple["TableRun", "Result", bool]]:
    """By workers, if they are asked for, else in this process, with a bar for each run."""
    from qnn.bench.accuracy import carry_out, carry_out_on

    if workers is None and ray is None:
        yield from carry_out(runs, out, data, progress)
        return
    from qnn.farm.farm import Farm

    with Farm(workers, ray) as farm, progress("runs") as report:
        yield from carry_out_on(farm, runs, out, data, report)


def _known(runs: tuple["TableRun", ...], out: Path) -> "list[Result]":
    from qnn.bench import results
    from qnn.bench.methods import definition

    # Only results of runs as they are defined now: a changed recipe is another run.
    known = results.of_runs(results.read(out), {run.name: definition(run) for run in runs})
    return [known[run.name] for run in runs if run.name in known]


def _plot(results: "list[Result]", folder: Path) -> None:
    import sys

    from qnn.bench.plots import write_plots

    for path in write_plots(results, folder):
        print(path, file=sys.stderr)


def _print_list(runs: tuple["TableRun", ...], as_json: bool) -> None:
    if as_json:
        print_json([run.definition() | {"name": run.name, "group": run.group} for run in runs])
        return
    for run in runs:
        print(run.name)


def _print(results: "list[Result]", markdown: bool, as_json: bool) -> None:
    from qnn.bench import table

    if as_json:
        print_json([result.to_fields() for result in results])
    elif markdown:
        print(table.markdown(results), end="")
    else:
        for part in table.table(results):
            print_table(part.title, table.HEADER, part.rows)
