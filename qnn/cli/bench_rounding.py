"""``qnn bench rounding``: what a step of learnt rounding costs beside float training."""

from typing import Annotated

import typer

from qnn.cli.checks import one_of
from qnn.cli.output import Json, print_json, print_table, progress


def bench_rounding(
    # A median, which a few slow steps do not move.
    steps: Annotated[int, typer.Option(min=1, help="Steps of each form, after warm-up.")] = 7,
    # As many as a usual step of learnt rounding takes on a CPU.
    batch: Annotated[int, typer.Option(min=2, help="Images of a step.")] = 32,
    only: Annotated[
        list[str] | None, typer.Option(help="The network of this name; may be repeated.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure what a step of learnt rounding costs.

    Time of the CPU and peak of memory for networks of four architectures, beside float training of
    the same network on the same batch: forward, backward and Adam. The teacher is asked at each
    step, as with augmented images. A step of adaround is one of each layer.
    """
    from qnn.bench.rounding_cost import measure
    from qnn.bench.step_networks import STEP_NETWORKS

    names = list(STEP_NETWORKS)
    for name in only or ():
        one_of(names)(name)  # the networks need torch
    # Minutes: on a terminal one wants to see that it moves.
    with progress("measure") as report:
        chosen = [name for name in names if not only or name in only]
        found = measure(steps, batch, chosen, report)
    if as_json:
        print_json(found.to_fields())
        return
    rows = [
        (
            each.network,
            form,
            f"{each.milliseconds[form]:.0f}",
            _ratio(each.time_to_float, form),
            f"{each.mebibytes[form]:.0f}",
            _ratio(each.memory_to_float, form),
        )
        for each in found.networks
        for form in each.milliseconds
    ]
    header = ("network", "step", "ms of CPU", "over float", "peak MiB", "over float")
    threads = found.machine["threads"]
    title = f"steps of {batch} images, {threads} threads; float in its faster format counts"
    print_table(title, header, rows)


def _ratio(ratios, form):
    return f"{ratios[form]:.2f}" if form in ratios else ""
