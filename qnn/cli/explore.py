"""``qnn explore``: a float model in, the designs that no other one beats out."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qnn.cli.checks import float_model, new_file, old_file, refuse_given, valid
from qnn.cli.explore_crew import crew
from qnn.cli.explore_options import (
    Board,
    Budget,
    Clock,
    Constraints,
    MethodName,
    Objectives,
    Vary,
    board_named,
    clock_in,
    picked_build,
    seconds_in,
    vary_in,
)
from qnn.cli.explore_result import build_picked, print_found
from qnn.cli.float_options import InputShapes, check_together, shapes_in
from qnn.cli.formats import numbers, pixel_numbers
from qnn.cli.going_on import command_line
from qnn.cli.output import Json, note
from qnn.cli.quantize import AUTO_SAMPLES
from qnn.cli.sources import Data, Layout
from qnn.cli.tasks import Task

if TYPE_CHECKING:
    from qnn.explore.goals import Goals

# All but the store, the build and --json.
SEARCHED = (  # parameters that a pick does not read
    *("model", "checkpoint", "input_shape", "data", "layout", "task", "samples", "mean", "std"),
    *("objectives", "constraints", "budget", "evaluations", "method", "vary", "board"),
    *("clock_mhz", "groups", "batch", "workers", "ray", "designs", "seed", "page"),
)


def explore(
    context: typer.Context,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            help="The float model, as 'qnn quantize' takes it; none with --pick.",
            callback=float_model,
        ),
    ] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(
            help="Trained weights, .pt or .safetensors; 'none' for those that the factory gives.",
            callback=old_file(),
        ),
    ] = None,
    input_shape: InputShapes = None,
    data: Data = "digits",
    layout: Layout = None,
    task: Task = None,
    samples: Annotated[
        int, typer.Option(min=1, help="Training images to choose by, and test images.")
    ] = AUTO_SAMPLES,
    mean: Annotated[
        str | None,
        typer.Option(
            help="Mean of pixels / 255: one number, or one per channel.", callback=valid(numbers)
        ),
    ] = None,
    std: Annotated[
        str | None,
        typer.Option(
            help="Standard deviation, as --mean: 0.229,0.224,0.225.", callback=valid(numbers)
        ),
    ] = None,
    objectives: Objectives = "accuracy,fps,lut",
    constraints: Constraints = None,
    budget: Budget = None,
    evaluations: Annotated[
        int | None, typer.Option(min=1, help="Designs to compare, those of the store included.")
    ] = None,
    method: MethodName = "bayes",
    vary: Vary = None,
    board: Board = "zcu102",
    clock_mhz: Clock = None,
    groups: Annotated[
        int, typer.Option(min=1, max=10, help="Groups of layers that get terms together.")
    ] = 8,
    batch: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=64,
            help="Designs that are proposed at a time; by default one a worker, 2 at least.",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1024,
            help="Processes that evaluate; by default one a core.",
            show_default=False,
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            help="Ray cluster whose workers evaluate: auto or HOST:PORT.", show_default=False
        ),
    ] = None,
    designs: Annotated[
        int, typer.Option(min=1, max=100, help="Designs of the front that are made in full.")
    ] = 12,
    seed: Annotated[int, typer.Option(min=0, help="Of all that is drawn at random.")] = 0,
    store: Annotated[
        Path,
        typer.Option(
            help="File of all that was found; a search goes on from it.", callback=new_file()
        ),
    ] = Path("explore.sqlite"),
    page: Annotated[
        Path | None,
        typer.Option(
            help="HTML page to write; by default beside the store.", callback=new_file(".html")
        ),
    ] = None,
    pick: Annotated[
        str | None,
        typer.Option(
            help="Build a design of the store: knee, fastest, smallest or a name of its table."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            help="Build folder that --pick writes; by default build.",
            show_default=False,
            callback=picked_build,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Search terms, bits and array of MODEL together for the designs that no other one beats.

    Every design that was looked at is kept in the store, from which an interrupted search goes on.
    """
    # Before all else: a pick needs neither torch nor a network.
    if pick is not None:
        refuse_given(context, SEARCHED, "is of a search, and --pick takes a design of the store")
        build_picked(store, pick, out or picked_build(Path("build")), as_json)
        return
    if out is not None:
        raise typer.BadParameter("-o is of --pick; give it as well")
    if model is None:
        raise typer.BadParameter("Missing argument 'MODEL'")
    check_together(model, checkpoint, input_shape, mean, std)
    if budget is None and evaluations is None:
        raise typer.BadParameter("give --budget or --evaluations, so that the search has an end")
    from qnn.explore.goals import Goals, constraints_in, objectives_in

    goals = Goals(objectives_in(objectives), constraints_in(constraints))
    choices, clock = vary_in(vary), clock_in("--clock-mhz", clock_mhz)
    target = board_named(board)
    # The device's room is a constraint like any other, and told as one.
    limited = _with_device(goals, target)
    options = {
        "--checkpoint": checkpoint,
        "--data": data,
        "--layout": layout,
        "--task": task,
        "--samples": str(samples),
        "--mean": mean,
        "--std": std,
    }
    # In full, also what is a default: the commands of designs must mean the same later.
    shapes = shapes_in(input_shape)
    given = [part for name, value in options.items() if value is not None for part in (name, value)]
    given += [part for text in input_shape or () for part in ("--input-shape", text)]

    from qnn.cli.explore_network import load_network
    from qnn.explore.choices import ACTIVATIONS, WEIGHTS
    from qnn.explore.goals import check_reachable
    from qnn.explore.groups import grouped
    from qnn.explore.methods.registry import method_named
    from qnn.explore.search import FrontSearch, SearchLimits, profiles_of
    from qnn.explore.space import make_space
    from qnn.explore.state import SearchState
    from qnn.explore.store import store_at
    from qnn.explore.told import Asked, begin
    from qnn.explore.work import NetworkSource, network_of, work
    from qnn.interrupt import Interrupted, stoppable

    # Before any network is loaded: what no hardware keeps, none of them will.
    make_space((), choices, limited.constraints, clock)
    # Of this run: what a store has costs nothing.
    seconds = seconds_in("--budget", budget)
    values = pixel_numbers(model, mean, std)
    arguments = (model, checkpoint, tuple(shapes), data, layout, task, samples, *values)
    origin = NetworkSource(load_network, arguments)
    try:
        with stoppable() as asked_to_stop, store_at(store) as kept:
            # The one that this process evaluates with, where it has no workers.
            network = network_of(origin)
            # Before layers are measured, which may take minutes.
            check_reachable(goals, network.float_accuracy)
            told = Asked(
                title=model,
                objectives=goals.objectives,
                constraints=limited.constraints,
                options=(model, *given),
                board=target and target.name,
            )
            begin(kept, told, network.digest)
            # A profile takes minutes, and is of one pair of formats.
            formats = [(bits, own) for bits in choices[WEIGHTS] for own in choices[ACTIVATIONS]]
            profiles = profiles_of(network, formats, kept, note, seconds)
            parts = grouped(profiles[formats[0]], groups)
            space = make_space(parts, choices, limited.constraints, clock)
            note(
                f"{space.size:,} designs in {space.dimensions} dimensions: terms of {len(parts)} "
                f"groups of layers, {len(space.hardware):,} arrays"
            )
            # Workers begin now: each loads the network by itself.
            with crew(workers, ray) as (run, count):
                search = FrontSearch(
                    network=network,
                    state=SearchState(space, limited, profiles, seed),
                    method=method_named(method),
                    store=kept,
                    run=partial(run, partial(work, origin, tuple(profiles.items()))),
                    limits=SearchLimits(
                        seconds=seconds,
                        evaluations=evaluations,
                        batch=batch or max(count, 2),
                        designs=designs,
                    ),
                    report=note,
                    asked=asked_to_stop,
                )
                front = search.result()
    except Interrupted as stopped:
        raise KeyboardInterrupt(f"{stopped}; go on with: {command_line()}") from None
    print_found(search, told, front, page or store.with_suffix(".html"), as_json)


def _with_device(goals: "Goals", board) -> "Goals":
    """The goals, and that the device has room."""
    from qnn.explore.goals import Constraint, Goals

    if board is None:
        return goals
    from hw.spec.resources import usable

    room = usable(board.device)
    limits = [Constraint(name, True, float(room[name])) for name in ("lut", "ff", "bram18")]
    return Goals(goals.objectives, (*goals.constraints, *limits))
