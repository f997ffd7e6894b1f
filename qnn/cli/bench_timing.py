"""``qnn bench timing``: the clock of a core by our analysis, and how good its model of nets is."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qnn.backend.registry import DEFAULT
from qnn.cli.checks import old_file, refuse_given
from qnn.cli.output import Json, print_json, print_table, progress
from qnn.cli.sources import ConfigName, ConfigSettings, check_sizes
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

if TYPE_CHECKING:
    from hw.spec.config import SvpeConfig
    from qnn.eda.timing.analysis import TimingResult
    from qnn.eda.timing.replay import Replay


class TimedPart(StrEnum):
    """What is analysed: a whole core, one of its blocks by itself, or elements side by side."""

    CORE = "core"
    ARRAY = "array"
    BUFFERS = "buffers"
    CROSSBAR = "crossbar"
    EPILOGUE = "epilogue"
    CONTROL = "control"
    SHELL = "shell"
    ELEMENTS = "elements"


def bench_timing(
    context: typer.Context,
    replay: Annotated[
        Path | None,
        typer.Option(
            help="Routed paths, a JSON object a line, plain or gzip: judges the model of nets, and "
            "analyses nothing.",
            callback=old_file(),
        ),
    ] = None,
    of: Annotated[
        list[TimedPart] | None,
        typer.Option(help="What to analyse; may be repeated. [default: core]", show_default=False),
    ] = None,
    config: ConfigName = "reference",
    settings: ConfigSettings = None,
    speed_grade: Grade = SpeedGrade.TWO,
    unused_pins: UnusedPins = False,
    fill: Fill = 0.75,
    seed: Seed = 0,
    plot: Plot = None,
    keep: Annotated[
        bool,
        typer.Option("--keep", help="Keep the core's clock, at which rates of 'qnn bench' are."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Estimate the clock of a core: synthesis, placement, static timing analysis.

    The interval's ends are those between which four in five of the paths of routed designs lie
    around the model's estimate. With --replay, instead, estimate the nets of routed paths, and say
    how far the paths are off: cells take what the file says, errors are relative to the path's
    delay in the file, and nets are those of speed grade -1 or, by the ratio of the cells, -2.
    """
    # Nothing is placed there: the places are those of the reports.
    if replay is not None:
        of_analysis = "is of an analysis, which --replay makes none of; leave it out"
        refuse_given(context, ("of", "config", "settings", "keep", *ANALYSIS), of_analysis)
        _replay(replay, as_json)
        return
    sizes = check_sizes(config, settings, DEFAULT)
    parts = tuple(of or (TimedPart.CORE,))
    if keep and (parts != (TimedPart.CORE,) or unused_pins):
        raise typer.BadParameter(
            "--keep needs a whole core without its unused pins, as rates are of such; leave out "
            "--of and --unused-pins"
        )
    if plot is not None:
        from qnn.bench.pictures import check

        check("timing", "--plot")
    from qnn.bench import timing

    found = {}
    for part in parts:
        with progress(f"{part.value}: yosys"):
            netlists = list(timing.netlists(part.value, sizes))
        for each in netlists:
            found[each.name] = analysed(
                *(each.written, each.top, each.name, speed_grade.value),
                unused=unused_pins,
                fill=fill,
                seed=seed,
                twice=each.twice,
            )
    if plot is not None:
        from qnn.bench.timing_plot import write_plot

        write_plot(found, plot)
    if keep:
        _keep(found[timing.CORE], sizes, fill, seed)
    _tell(found, as_json)


def _keep(found: "TimingResult", config: "SvpeConfig", fill: float, seed: int) -> None:
    from qnn.bench.core_clock import CoreClock, mark
    from qnn.bench.core_clock import keep as keep_clock
    from qnn.bench.machine import commit

    keep_clock(
        CoreClock(
            core=str(config),
            fingerprint=mark(config),
            device=found.device,
            speed_grade=found.speed_grade,
            low_mhz=found.clock_mhz_low,
            expected_mhz=found.clock_mhz,
            high_mhz=found.clock_mhz_high,
            fill=fill,
            seed=seed,
            commit=commit(),
        )
    )


def _tell(found: "dict[str, TimingResult]", as_json: bool) -> None:
    if as_json:
        fields = {name: each.to_fields() for name, each in found.items()}
        # Of one design its own keys are the object's; several are below their names.
        print_json(next(iter(fields.values())) if len(fields) == 1 else fields)
        return
    for name, each in found.items():
        print_timing(name, each)


def _replay(file: Path, as_json: bool) -> None:
    from qnn.eda.timing.paths import read_paths
    from qnn.eda.timing.replay import replay as judge

    found = judge(read_paths(file))
    if as_json:
        print_json(found.to_fields())
    else:
        _print(found)


def _print(found: "Replay") -> None:
    rows = [
        (
            name,
            f"{errors.paths:,}",
            *(f"{value:.1%}" for value in (errors.median, errors.p90)),
            f"{errors.mean:+.1%}",
            f"{errors.within:.1%}",
            f"{errors.net_ns:.3f}",
            f"{errors.net_share:.1%}",
        )
        for name, errors in (*found.devices.items(), ("all", found.all))
    ]
    head = (
        *("device", "paths", "median error", "90th percentile", "mean, signed"),
        *("in the interval", "ns a net", "share of nets"),
    )
    print_table("path delays, cells as reported and nets as estimated", head, rows)
