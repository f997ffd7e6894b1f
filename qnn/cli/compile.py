"""``qnn compile``: a quantized model in, a build folder out."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

import boards
from qnn.backend.registry import DEFAULT
from qnn.cli.checks import new_build, one_of, positive
from qnn.cli.given import TIES, Ties, check_file_ties
from qnn.cli.graph_file import read_graph
from qnn.cli.output import Json, print_json, progress
from qnn.cli.sources import (
    CONFIG_HELP,
    BackendName,
    ConfigSettings,
    Model,
    check_sizes,
    read_config,
)

BOARDS = ", ".join(boards.names())


def compile_(
    model: Model,
    out: Annotated[
        Path, typer.Option("-o", help="Build folder to write.", callback=new_build)
    ] = Path("build"),
    config: Annotated[
        str | None,
        typer.Option(
            help=f"{CONFIG_HELP} Without it the board's, or test.",
            show_default=False,
        ),
    ] = None,
    set_: ConfigSettings = None,
    batch: Annotated[int, typer.Option(min=1, help="Images that one run computes.")] = 1,
    board: Annotated[
        str | None,
        typer.Option(
            help=f"Add a project that builds a bitstream: {BOARDS}.",
            callback=one_of(boards.names()),
        ),
    ] = None,
    cores: Annotated[int, typer.Option(min=1, help="Cores on the board.")] = 1,
    clock_mhz: Annotated[
        float | None,
        typer.Option(
            help="Clock of the board's project, in MHz. Without it the board's.",
            callback=positive,
        ),
    ] = None,
    ties: Ties = TIES[0],
    backend: BackendName = DEFAULT,
    as_json: Json = False,
) -> None:
    """Compile MODEL to a build folder.

    It holds program and weights as an image, and the accelerator's Verilog.
    """
    # An option that is silently ignored would leave another build than was asked for.
    if board is None and (cores != 1 or clock_mhz is not None):
        raise typer.BadParameter("--cores and --clock-mhz are of a board; name it with --board")
    target = boards.named(board) if board else None
    if target and target.backend != backend:
        raise typer.BadParameter(
            f"board {board} holds designs of back end '{target.backend}', not of '{backend}'"
        )
    check_file_ties(str(model), ties)
    check_sizes(config or (target and target.config), set_, backend)
    from qnn.design import compile

    graph = read_graph(model, ties)
    if config is None and target:
        sizes = read_config(target.config, set_, graph, target.sizes)
    else:
        sizes = read_config(config, set_, graph, backend=backend)
    if target:
        # Before compiling, which may take minutes.
        target.check_fits(sizes, cores, clock_mhz)
    # A network larger than the chip takes seconds, as strips of many sizes are tried.
    with progress("compiling"):
        design = compile(graph, config=sizes, batch=batch, backend=backend)
    extra = target and (lambda built: target.files(sizes, built, cores, clock_mhz))
    design.write(out, extra, network=model.stem)
    size = design.backend.size(design.artifact)
    result = {"build": str(out), "config": str(design.config), **asdict(size)}
    if target:
        result |= {"board": target.name, "cores": cores}
    if as_json:
        print_json(result)
        return
    print(
        f"{out}: {result['layers']} layers for {result['config']}; "
        f"{result['image_bytes']:,} bytes, {result['program_bytes']:,} of them program"
    )
    if target:
        print(f"{out}: {target.summary(sizes, cores, clock_mhz)}")
