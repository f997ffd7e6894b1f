"""A static timing analysis in tables, and its options, for the commands that make one."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qnn.cli.checks import new_file
from qnn.cli.output import print_table, progress

if TYPE_CHECKING:
    from qnn.eda.timing.analysis import Hop, TimingResult

WIDEST = 30  # characters of the longest bar
# The parameters of a command that only an analysis reads.
ANALYSIS = ("speed_grade", "unused_pins", "fill", "seed", "plot")


class SpeedGrade(StrEnum):
    """The speed grade of the device."""

    ONE = "1"
    TWO = "2"


Grade = Annotated[SpeedGrade, typer.Option(help="Speed grade of the device.")]
Fill = Annotated[
    float,
    typer.Option(min=0.2, max=0.95, help="Share of its region's slices that the design takes."),
]
Seed = Annotated[int, typer.Option(min=0, help="Of the placement.")]
UnusedPins = Annotated[
    bool,
    typer.Option(
        "--unused-pins",
        help="Time also the inputs of LUTs on which their function does not depend.",
    ),
]
Plot = Annotated[
    Path | None,
    typer.Option(help="Histogram of slack to write, .png.", callback=new_file(".png")),
]


def analysed(
    netlist: Mapping,
    top: str,
    name: str,
    grade: str,
    *,
    unused: bool,
    fill: float,
    seed: int,
    twice: str | None = None,
) -> "TimingResult":
    """Place and analyse a netlist, with a bar that says how far it is."""
    from qnn.eda.timing.flow import analyse

    with progress(f"{name}: place and analyse") as report:
        return analyse(
            *(netlist, top),
            speed_grade=f"-{grade}",
            unused=unused,
            fill=fill,
            seed=seed,
            twice=twice,
            progress=report,
        )


def print_timing(name: str, found: "TimingResult") -> None:
    """Print the clock, the slack, the worst paths and the most loaded nets."""
    device = f"{found.device}, speed grade {found.speed_grade}"
    print(
        f"{name}, on {device} (estimated): {found.clock_mhz_low:.0f} to "
        f"{found.clock_mhz_high:.0f} MHz, {found.clock_mhz:.0f} expected"
    )
    print(
        "of paths of routed designs four in five lie between these ends, as our model estimates "
        "them; places are by our own placer"
    )
    counts = found.counts
    print(
        f"{counts['cells']:,} cells, {counts['slices']:,} slices; places where a slice lacks what "
        f"its cells ask for: {counts['conflicts']}"
    )
    _print_slack(found)
    _print_paths(found)
    rows = [(net.name, f"{net.fan_out:,}", f"{net.worst_ns:.2f}") for net in found.nets]
    print_table("nets of the most loads (estimated)", ("net", "loads", "ns at most"), rows)
    if found.paths:
        _print_hops(found.paths[0].hops)


def _print_slack(found):
    bounds, ends = found.slack
    # The fullest step has the longest bar, and one end has a bar, too.
    most = max(ends, default=1)
    rows = [
        (f"{low:.2f} to {high:.2f}", f"{count:,}", "#" * -(-count * WIDEST // most))
        for low, high, count in zip(bounds, bounds[1:], ends, strict=False)
    ]
    title = f"slack at {found.clock_mhz_low:.0f} MHz (estimated)"
    print_table(title, ("ns", "ends of paths", ""), rows)


def _print_paths(found):
    rows = [
        (
            f"{path.ns:.2f}",
            f"{path.cells_ns:.2f}",
            f"{path.nets_ns:.2f}",
            str(path.levels),
            path.begin,
            path.end,
            f"{path.alike:,}",
        )
        for path in found.paths
    ]
    head = ("ns", "cells", "nets", "levels", "from", "to", "alike")
    print_table("the worst paths, one for each pair of words (estimated)", head, rows)


def _print_hops(hops: "tuple[Hop, ...]"):
    rows = [
        (
            hop.kind,
            f"{hop.ns:.3f}",
            f"{hop.fan_out:,}" if hop.fan_out else "",
            # Only a net leads from one slice to another.
            f"{hop.distance:.0f}" if hop.fan_out else "",
            hop.name,
        )
        for hop in hops
    ]
    head = ("through", "ns", "loads", "slices away", "signal")
    print_table("the first of these paths, step by step (estimated)", head, rows)
