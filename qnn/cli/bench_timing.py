"""``qnn bench timing``: how long paths take by our model, beside what routed designs took."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qnn.cli.checks import old_file
from qnn.cli.output import Json, print_json, print_table

if TYPE_CHECKING:
    from qnn.eda.timing.replay import Replay


def bench_timing(
    replay: Annotated[
        Path,
        typer.Option(
            help="Routed paths, a JSON object a line, plain or gzip: judges the model of nets.",
            callback=old_file(),
        ),
    ],
    as_json: Json = False,
) -> None:
    """Estimate the nets of routed paths, and say how far the paths are off.

    Cells take what the file says. Errors are relative to the path's delay in the file. Nets are
    those of speed grade -1 or, by the ratio of the cells, -2.
    """
    from qnn.eda.timing.paths import read_paths
    from qnn.eda.timing.replay import replay as judge

    found = judge(read_paths(replay))
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
