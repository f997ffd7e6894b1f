"""``qnn export``: a quantized model in, its integer graph out."""

from pathlib import Path
from typing import Annotated

import typer

from qnn.cli.checks import new_file
from qnn.cli.output import Json, print_json
from qnn.cli.sources import Model, read_graph


def export(
    model: Model,
    out: Annotated[
        Path,
        typer.Option("-o", help="Integer graph to write.", callback=new_file(".qgraph")),
    ] = Path("model.qgraph"),
    as_json: Json = False,
) -> None:
    """Write and print the integer graph of MODEL."""
    from qnn.ir import serialize

    # Of a quantized model or of a graph: the one is exported, the other written again.
    graph = read_graph(model)
    serialize.save(graph, out)
    if as_json:
        print_json({"graph": str(out), "nodes": len(graph.nodes)})
        return
    # The summary, a line a node; `qnn show --full` gives every number.
    print(graph)
