"""``qnn export``: a quantized model in, its integer graph out, as ours or as ONNX."""

from pathlib import Path
from typing import Annotated

import typer

from qnn.cli.checks import new_file, one_of
from qnn.cli.given import TIES, Ties, check_file_ties
from qnn.cli.graph_file import read_graph
from qnn.cli.output import Json, print_json, progress
from qnn.cli.sources import Model

SUFFIXES = {"qgraph": ".qgraph", "onnx": ".onnx", "qonnx": ".onnx"}  # of each format


def export(
    model: Model,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            help="Integer graph to write. Without it model.qgraph or model.onnx.",
            callback=new_file(*dict.fromkeys(SUFFIXES.values())),
            show_default=False,
        ),
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="qgraph, onnx (standard operators that give the same integers) or qonnx (reals "
            "and quantizers). Without it qgraph or onnx, as the file's name ends.",
            callback=one_of((*SUFFIXES,)),
            show_default=False,
        ),
    ] = None,
    codes: Annotated[
        bool,
        typer.Option(help="Of ONNX: take integers of the inputs' types, where it takes pixels."),
    ] = False,
    ties: Ties = TIES[0],
    as_json: Json = False,
) -> None:
    """Write and print the integer graph of MODEL.

    An ONNX file is run on random and extreme inputs before it is written, in onnxruntime or in
    qonnx, and refused unless every integer equals ours.
    """
    format_, out = _format_and_file(format_, out)
    # QONNX takes reals, and a graph of ours takes whatever it is given.
    if codes and format_ != "onnx":
        raise typer.BadParameter(f"--codes is of --format onnx, not of {format_}")
    check_file_ties(str(model), ties)
    # Of a quantized model or of a graph: the one is exported, the other written again.
    graph = read_graph(model, ties)
    if format_ != "qgraph":
        _print_onnx(graph, out, format_, codes, as_json)
        return
    from qnn.ir import serialize

    serialize.save(graph, out)
    if as_json:
        print_json({"graph": str(out), "nodes": len(graph.nodes)})
        return
    # The summary, a line a node; `qnn show --full` gives every number.
    print(graph)


def _format_and_file(format_, out):
    """The format and the file, of which each follows from the other where it is not given."""
    if format_ is None:
        # A pipe takes a graph under any name.
        format_ = "onnx" if out is not None and out.suffix == SUFFIXES["onnx"] else "qgraph"
    # Two formats share a suffix, so that a name does not tell all.
    suffix = SUFFIXES[format_]
    out = Path(f"model{suffix}") if out is None else out
    if out.suffix in SUFFIXES.values() and out.suffix != suffix:
        raise typer.BadParameter(f"--format {format_} needs a name that ends in {suffix}: '{out}'")
    return format_, out


def _print_onnx(graph, out, format_, codes, as_json):
    from dataclasses import asdict

    # qonnx executes node by node, which takes a while for a large network.
    from qnn.interchange.to_onnx import to_onnx
    from qnn.interchange.to_qonnx import to_qonnx

    with progress("comparing with the reference"):
        is_qonnx = format_ == "qonnx"
        exported = to_qonnx(graph, out) if is_qonnx else to_onnx(graph, out, codes=codes)
    if as_json:
        # A path is no value of JSON.
        print_json({**asdict(exported), "path": str(out)})
        return
    print(exported)
