"""``qnn show``: the program of a build, or a graph, as text."""

from pathlib import Path
from typing import Annotated

import typer

from qnn.cli.given import TIES, Ties, check_file_ties
from qnn.cli.graph_file import read_graph
from qnn.cli.output import Json, print_json
from qnn.cli.sources import read_design


def show(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="BUILD|GRAPH",
            help="A build folder, a .qgraph or .safetensors file, or an .onnx file of QONNX.",
        ),
    ],
    full: Annotated[
        bool, typer.Option("--full", help="Every number of a graph, in text that parses.")
    ] = False,
    ties: Ties = TIES[0],
    as_json: Json = False,
) -> None:
    """Print the program of BUILD, or the integer GRAPH, as text.

    A program has a line for each instruction and its layer as a comment; a graph has a line for
    each node.
    """
    check_file_ties(str(path), ties)
    # Builds are folders, and graphs and models are files.
    if path.is_dir():
        if full:
            raise typer.BadParameter("--full is of a graph; the text of a program always is")
        design = read_design(path)
        kind, text = "program", design.backend.listing(design.artifact)
    else:
        from qnn.ir.text import text as graph_text

        kind, text = "graph", graph_text(read_graph(path, ties), full=full)
    if as_json:
        print_json({kind: text.splitlines()})
    else:
        print(text.rstrip("\n"))
