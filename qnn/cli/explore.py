"""``qnn explore``: a float model in, the designs that no other one beats out."""

from pathlib import Path
from typing import Annotated

import typer

from qnn.cli.checks import float_model, new_file, old_file, refuse_given
from qnn.cli.explore_options import (
    REFERENCE_BOARD,
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
from qnn.cli.explore_search import ExploreRequest, searched
from qnn.cli.float_options import InputShapes, check_together, shapes_in
from qnn.cli.formats import Mean, Std
from qnn.cli.output import Json
from qnn.cli.quantize import AUTO_SAMPLES
from qnn.cli.sources import Data, Layout
from qnn.cli.tasks import Task

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
    mean: Mean = None,
    std: Std = None,
    objectives: Objectives = "accuracy,fps,lut",
    constraints: Constraints = None,
    budget: Budget = None,
    evaluations: Annotated[
        int | None, typer.Option(min=1, help="Designs to compare, those of the store included.")
    ] = None,
    method: MethodName = "bayes",
    vary: Vary = None,
    board: Board = REFERENCE_BOARD,
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

    request = ExploreRequest(
        model=model,
        arguments=(checkpoint, tuple(shapes), data, layout, task, samples),
        statistics=(mean, std),
        options=(model, *given),
        goals=goals,
        choices=choices,
        clock=clock,
        board=target,
        method=method,
        # Of this run: what a store has costs nothing.
        seconds=seconds_in("--budget", budget),
        evaluations=evaluations,
        groups=groups,
        batch=batch,
        designs=designs,
        seed=seed,
        workers=workers,
        ray=ray,
        store=store,
    )
    search, told, front = searched(request)
    print_found(search, told, front, page or store.with_suffix(".html"), as_json)
