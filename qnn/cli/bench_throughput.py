"""``qnn bench throughput``: frames per second of networks, beside what they should reach."""

from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qnn.cli.checks import new_file
from qnn.cli.output import Json, print_json, print_table, progress

if TYPE_CHECKING:
    from qnn.bench.throughput import ThroughputRow
    from qnn.bench.throughput_cases import ThroughputCase

HEADER = (
    *("case", "batch", "cycles an image", "busy", "clock", "frames a second", "goal"),
    *("one image alone", "memory"),
)


def bench_throughput(
    out: Annotated[
        Path,
        typer.Option(
            help="Results, a JSON line a case; cases that it has are not simulated again.",
            callback=new_file(),
        ),
    ] = Path("throughput.jsonl"),
    only: Annotated[
        list[str] | None, typer.Option(help="Name of a case, or a pattern; may be repeated.")
    ] = None,
    markdown: Annotated[
        bool, typer.Option(help="Print what the results have in Markdown, and simulate nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure frames per second of networks on one core and on four.

    Cycles are simulated and kept; every value of a batch is compared with the reference. Time is
    that of these cycles at the low end of the clock that 'qnn bench timing --keep' estimated.
    """
    from qnn.bench.throughput_cases import CASES

    for pattern in only or ():
        if not any(fnmatchcase(case.name, pattern) for case in CASES):
            raise typer.BadParameter(
                f"--only needs the name of a case, or a pattern, but none matches '{pattern}'; "
                f"there are {'; '.join(case.name for case in CASES)}"
            )
    cases = [case for case in CASES if _wanted(case.name, only)]
    from qnn.bench.throughput import known, run

    if markdown:
        # Of what is there alone: a page is made again in a moment.
        rows = known(cases, out)
        _print_markdown([(case, rows[case.name]) for case in cases if case.name in rows])
        return
    with progress("cases") as report:
        pairs = list(zip(cases, run(cases, out, report), strict=True))
    if as_json:
        print_json([_fields(*pair) for pair in pairs])
        return
    print_table("networks on the array", HEADER, [_cells(*pair) for pair in pairs])
    for clock in _clocks(pairs):
        print(clock)


def _wanted(name, patterns):
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


def _fields(case: "ThroughputCase", row: "ThroughputRow") -> dict:
    from dataclasses import asdict

    from qnn.bench.core_clock import rate_clock
    from qnn.bench.throughput import Throughput

    goals = {"goal_rate": case.goal_rate, "goal_busy": case.goal_busy}
    found = rate_clock(case.config)
    clock = {"clock": asdict(found), "own_clock": found.is_of(case.config)}
    return {**asdict(row), **asdict(Throughput.of(case, row)), **goals, **clock}


def _cells(case: "ThroughputCase", row: "ThroughputRow") -> tuple[str, ...]:
    from qnn.bench.core_clock import rate_clock
    from qnn.bench.throughput import Throughput

    found = Throughput.of(case, row)
    goals = []
    if case.goal_rate is not None:
        goals.append(f"{case.goal_rate:,.0f}")
    if case.goal_busy is not None:
        goals.append(f"{case.goal_busy:.0%} busy")
    return (
        row.name,
        str(row.batch),
        f"{row.cycles_per_image:,.0f}",
        f"{row.busy:.1%}",
        rate_clock(case.config).rated(case.config),
        f"{found.frames_per_second:,.0f}",
        ", ".join(goals),
        f"{found.cold_milliseconds:.3f} ms",
        f"{found.memory_share:.0%}" if case.board_memory else "",
    )


def _clocks(pairs):
    """What each clock of the rows is, and how cycles came about."""
    from qnn.bench.core_clock import rate_clock

    simulators = sorted({row.simulator for _, row in pairs})
    clocks = dict.fromkeys(str(rate_clock(case.config)) for case, _ in pairs)
    found = [
        f"cycles: by the cycle model, beside the {' and '.join(simulators)} simulator, of which "
        f"every value equals the reference's"
    ]
    return found + [f"clock: {clock}" for clock in clocks]


def _print_markdown(pairs):
    from qnn.bench.markdown import table_lines

    for line in table_lines(HEADER, [_cells(*pair) for pair in pairs], texts=1):
        print(line)
    print()
    for clock in _clocks(pairs):
        print(f"- {clock}")
