"""``qnn check``: whether a model fits an accelerator, or a build's board project is sound."""

from pathlib import Path
from typing import Annotated

import typer

from qnn.backend.registry import DEFAULT
from qnn.cli.check_model import Target, check_model
from qnn.cli.check_qonnx import check_qonnx, is_qonnx_file
from qnn.cli.checks import checkable, old_file
from qnn.cli.exit_codes import ExitCode
from qnn.cli.float_options import InputShapes, check_weights, is_onnx, shapes_in
from qnn.cli.given import FLOAT_TIES, TIES, Ties, check_file_ties
from qnn.cli.graph_file import read_graph
from qnn.cli.output import Json, print_json, print_table
from qnn.cli.sources import (
    CONFIG_NAMES,
    BackendName,
    ConfigSettings,
    check_sizes,
    read_config,
)

# Their contents are checked by the board's rules, not by the hash that the build wrote.
EDITED = (".tcl", ".xdc", ".lpf", ".md")  # files of a project that its user may change


def check(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A float model as module:factory, a name of the zoo or an .onnx or .pt2 file, a "
            ".safetensors or .qgraph file, or a build folder.",
            callback=checkable,
        ),
    ],
    input_shape: InputShapes = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Weights of a float model, .pt or .safetensors.", callback=old_file()),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(
            help=f"Configuration: {CONFIG_NAMES}. Without it test, or none for a float model.",
            show_default=False,
        ),
    ] = None,
    set_: ConfigSettings = None,
    ties: Ties = TIES[0],
    backend: BackendName = DEFAULT,
    as_json: Json = False,
) -> None:
    """Say what MODEL lacks or whether it fits an accelerator, or check a build's board project.

    A QONNX file is taken as it is, quantized anew on request, or refused: a table says which layers
    keep their integers. Exit code 0 if all is well; 3 if the model does not fit; 1 if the project
    has findings.
    """
    path = Path(model)
    check_file_ties(model, ties)
    if path.is_dir():
        if config is not None or set_:
            raise typer.BadParameter("--config and --set are of a model, but MODEL is a build")
        _check_build(path, as_json)
        return
    check_sizes(config, set_, backend)
    if path.suffix not in (".qgraph", ".safetensors"):
        check_weights(model, checkpoint)
        if is_onnx(model) and is_qonnx_file(model):
            shapes = shapes_in(input_shape)
            check_qonnx(model, shapes, (config, set_, backend), ties, as_json)
            return
        if ties != TIES[0]:
            raise typer.BadParameter(FLOAT_TIES)
        target = Target(config, set_, backend)
        check_model(model, checkpoint, input_shape or [], target, as_json)
        return
    from qnn.design import compile

    graph = read_graph(path)
    target = read_config(config, set_, graph, backend=backend)
    advice = compile(graph, target, backend=backend).backend.advice(graph, target)
    # Inputs stand first, and take no work.
    layers = graph.nodes[len(graph.inputs) :]
    if as_json:
        fields = {"fits": True, "config": str(target), "layers": len(layers)}
        print_json({**fields, "advice": list(advice)})
        return
    rows = [
        (
            node.name,
            node.kind,
            "x".join(map(str, node.shape)),
            str(node.type),
            f"{node.macs:,}",
        )
        for node in layers
    ]
    print_table(str(model), ("layer", "operation", "shape", "type", "multiply-accumulates"), rows)
    print(f"fits {target}")
    for line in advice:
        print(line)


def _check_build(build: Path, as_json: bool) -> None:
    """Check the project of a build's board, also where its user has edited its files."""
    from boards import project_of
    from qnn.design import altered_files

    board, texts = project_of(build)
    found = board.findings(texts)
    found += [
        f"{name}: missing or altered since it was built; compile the model again"
        for name in altered_files(build)
        if not name.endswith(EDITED)
    ]
    if as_json:
        print_json({"build": str(build), "board": board.name, "findings": found})
    else:
        for line in found:
            print(line)
        # Said with every result: a clean check is no run of the board's own tool.
        count = f"{len(found)} finding{'' if len(found) == 1 else 's'}"
        print(f"{build}: {board.name}: {count}; not run in {board.tool}")
    # After the print, so that a CI log has the findings, and the exit code says that there are
    # some.
    if found:
        raise typer.Exit(ExitCode.MISMATCH)
