"""``qnn bench``: accuracies, the cost of training, the cost of a lane, a network's cycles."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qnn.backend.registry import DEFAULT
from qnn.cli.bench_accuracy import bench_accuracy
from qnn.cli.bench_applications import bench_applications
from qnn.cli.bench_array import bench_array
from qnn.cli.bench_faults import bench_faults
from qnn.cli.bench_fuzz import bench_fuzz
from qnn.cli.bench_operators import bench_operators
from qnn.cli.bench_rounding import bench_rounding
from qnn.cli.bench_throughput import bench_throughput
from qnn.cli.bench_timing import bench_timing
from qnn.cli.bench_zoo import bench_zoo
from qnn.cli.checks import data_source, old_file
from qnn.cli.examples import closing
from qnn.cli.float_options import FactoryModel
from qnn.cli.output import Json, print_json, print_table, progress
from qnn.cli.simulators import check_compiler
from qnn.cli.sources import ConfigName, ConfigSettings, check_sizes, read_config

# For annotations alone: the modules load torch.
if TYPE_CHECKING:
    from qnn.bench.cost import FormCosts
    from qnn.bench.network import NetworkCost

bench = typer.Typer(rich_markup_mode=None)
bench.command("accuracy", epilog=closing("bench accuracy"))(bench_accuracy)
bench.command("applications", epilog=closing("bench applications"))(bench_applications)
bench.command("array", epilog=closing("bench array"))(bench_array)
bench.command("faults", epilog=closing("bench faults"))(bench_faults)
bench.command("fuzz", epilog=closing("bench fuzz"))(bench_fuzz)
bench.command("operators", epilog=closing("bench operators"))(bench_operators)
bench.command("rounding", epilog=closing("bench rounding"))(bench_rounding)
bench.command("throughput", epilog=closing("bench throughput"))(bench_throughput)
bench.command("timing", epilog=closing("bench timing"))(bench_timing)
bench.command("zoo", epilog=closing("bench zoo"))(bench_zoo)


class Simulator(StrEnum):
    """Where a network's cycles come from."""

    FUNCTIONAL = "functional"
    RTL = "rtl"


@bench.callback(invoke_without_command=True)
# typer makes a group of commands only of an app that has a callback.
def _bench(context: typer.Context) -> None:
    """Measure accuracies, the cost of training, the array's cost and a network's cycles."""
    # Without a command one sees what there is, as with 'qnn' alone.
    if context.invoked_subcommand is None:
        print(context.get_help())


@bench.command("training", epilog=closing("bench training"))
def bench_training(
    # A median, which a few slow steps do not move.
    steps: Annotated[int, typer.Option(min=1, help="Steps of each form, after warm-up.")] = 15,
    as_json: Json = False,
) -> None:
    """Measure what a training step on the grid costs.

    Time and memory of ResNet-20, beside the same float network and, if it is there, Brevitas.
    """
    from qnn.bench.cost import measure

    # A minute or two: on a terminal one wants to see that it moves.
    with progress("measure") as report:
        costs = measure(steps, progress=report)
    if as_json:
        print_json(costs.to_fields())
        return
    _print_costs(costs)


@bench.command("network", epilog=closing("bench network"))
def bench_network(
    model: FactoryModel,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="Trained weights; random ones, which cost the same, by default.",
            callback=old_file(),
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Data as for 'qnn quantize', or a folder with CIFAR-10; random by default.",
            callback=data_source,
        ),
    ] = None,
    weight_bits: Annotated[int, typer.Option(min=2, max=5)] = 3,
    config: ConfigName = "reference",
    settings: ConfigSettings = None,
    cores: Annotated[int, typer.Option(min=1, max=4, help="Copies of the accelerator.")] = 1,
    # One path for all cores is a single port of the memory; a board may give each core its own.
    paths: Annotated[
        int, typer.Option(min=1, help="Beats that the memory moves per cycle, over all cores.")
    ] = 1,
    # In a batch the first load and the last store of an image hide behind others.
    batch: Annotated[int, typer.Option(min=1, help="Images of one run of a core.")] = 8,
    device: Annotated[Simulator, typer.Option(help="What runs it.")] = Simulator.FUNCTIONAL,
    as_json: Json = False,
) -> None:
    """Measure the cycles that MODEL takes on an accelerator.

    Of a batch on each core and of one image alone. Every value of every layer is compared with the
    reference.
    """
    check_sizes(config, settings, DEFAULT)
    # Before the model is quantized.
    if device is Simulator.RTL:
        check_compiler()
    from qnn.bench.network import measure, quantized_graph

    graph, images = quantized_graph(model, checkpoint, data, weight_bits)
    cost = measure(
        graph,
        images,
        read_config(config, settings, graph),
        model=model,
        checkpoint=checkpoint,
        cores=cores,
        paths=paths,
        batch=batch,
        device=device.value,
    )
    if as_json:
        print_json(cost.to_fields())
    else:
        _print_network(cost)


def _print_costs(costs: "FormCosts") -> None:
    rows = [
        (
            cost.network,
            cost.precision,
            cost.memory_format,
            "-" if cost.milliseconds is None else f"{cost.milliseconds:.1f}",
            "-" if cost.mebibytes is None else f"{cost.mebibytes:.0f}",
            cost.skipped or "",
        )
        for cost in costs.costs
    ]
    title = f"a training step of {costs.model}, {costs.batch} images, {costs.threads} threads"
    header = ("network", "arithmetic", "memory format", "ms", "peak MiB", "skipped")
    print_table(title, header, rows)
    for other in ("float", "brevitas"):
        for precision, ratio in getattr(costs, f"time_to_{other}").items():
            memory = getattr(costs, f"memory_to_{other}")[precision]
            if ratio is not None:
                print(
                    f"quantized over {other}, {precision}, each at its faster memory format: time "
                    f"{ratio:.2f}, memory {memory:.2f}"
                )


def _print_network(cost: "NetworkCost") -> None:
    layers = [
        (
            layer.name,
            *(
                f"{value:,.0f}"
                for value in (
                    *(layer.ideal_cycles, layer.issue_cycles, layer.interval_stall_cycles),
                    *(layer.dependence_stall_cycles, layer.load_stall_cycles),
                    *(layer.store_stall_cycles, layer.fetch_stall_cycles, layer.latency_cycles),
                )
            ),
        )
        for layer in cost.layers
    ]
    stalls = (f"{cause} stall" for cause in ("interval", "dependence", "load", "store", "fetch"))
    title = f"cycles of {cost.model} an image, {cost.configuration}; stalls by the cycle model"
    print_table(title, ("layer", "ideal", "issue", *stalls, "latency"), layers)
    runs = f"{cost.cores} core{'s' * (cost.cores > 1)}, batch {cost.batch}"
    print(
        f"{runs}: {cost.cycles:,} cycles by the {cost.simulator} simulator (cycle model "
        f"{cost.model_cycles:,}), {cost.values_compared:,} values equal the reference's"
    )
    print(
        f"{cost.cycles_per_image:,.0f} cycles an image, utilisation {cost.utilisation:.3f}: "
        f"{cost.frames_per_second:,.0f} frames a second"
    )
    # From the start to its output in memory.
    cycles, milliseconds = cost.cold_latency_cycles, cost.cold_latency_milliseconds
    print(f"one image alone: {cycles:,} cycles, {milliseconds:.3f} ms")
    print(f"clock: {cost.clock}")
    if cost.published is not None:
        print(
            f"published: {cost.published['system']} on {cost.published['device']} "
            f"{cost.published['frames_per_second']:,} frames a second ({cost.published['source']})"
        )
