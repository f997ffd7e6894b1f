"""``qnn bench operators``: cycles of each operator, beside what its reads and writes need."""

from typing import Annotated

import typer

from qnn.cli.checks import one_of
from qnn.cli.output import Json, print_json, print_table, progress
from qnn.cli.sources import CompiledFor

LEAST = 14  # pixels a side: fewer leave windows of adaptive pooling without a pixel


def _even(pixels: int) -> int:
    if pixels % 2:
        raise typer.BadParameter(f"needs an even number, as maps are halved, not {pixels}")
    return pixels


HEADER = ("operator", "cycles", "needed", "ratio", "steps", "waits")


def bench_operators(
    pixels: Annotated[
        int, typer.Option(min=LEAST, help="Rows and columns of the maps.", callback=_even)
    ] = 28,
    only: Annotated[
        list[str] | None, typer.Option(help="The operator of this name; may be repeated.")
    ] = None,
    config: CompiledFor = "reference",
    as_json: Json = False,
) -> None:
    """Measure what each operator takes between two convolutions, by the cycle model.

    Needed is the least that its reads and writes take: each column of the array reads a feature
    word per cycle, results leave at one word per cycle, and so does what goes through memory. Where
    it is 0, the convolutions take the operator in.
    """
    from qnn.bench.operators.cases import operator_cases
    from qnn.bench.operators.measure import measure_operator

    cases = operator_cases(pixels)
    names = [case.name for case in cases]
    for name in only or ():
        one_of(names)(name)  # names follow from the cases, which need torch
    chosen = [case for case in cases if not only or case.name in only]
    costs = []
    with progress("compile and simulate") as report:
        for case in chosen:
            costs.append(measure_operator(case, config))
            report(len(costs), len(chosen))
    if as_json:
        print_json(
            {
                "configuration": config,
                "pixels": pixels,
                "operators": [cost.to_fields() for cost in costs],
            }
        )
        return
    rows = [
        (
            cost.name,
            f"{cost.cycles:,.0f}",
            f"{cost.bound:,}",
            "-" if cost.ratio is None else f"{cost.ratio:.2f}",
            f"{cost.steps:,.0f}",
            f"{cost.waits:,.0f}",
        )
        for cost in costs
    ]
    print_table(f"operators on maps of {pixels} x {pixels} (simulated)", HEADER, rows)
