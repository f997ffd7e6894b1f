"""The integer graph that a file has, of whatever kind it is."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from qnn.cli.output import note, progress
from qnn.quant.ties import TIES

if TYPE_CHECKING:
    from qnn.ir.graph import Graph


def read_graph(path: Path, ties: str = TIES[0]) -> "Graph":
    """The integer graph in ``path``: a ``.qgraph``, a model that is exported, or QONNX."""
    if path.suffix == ".qgraph":
        from qnn.ir import serialize

        return serialize.load(path)
    if path.suffix == ".safetensors":
        from qnn.nn import artifact
        from qnn.ptq.export import export

        return export(artifact.load(path))
    if path.suffix == ".onnx":
        from qnn.interchange.from_qonnx import NOT_COMPARED, read_qonnx

        # Large networks take some seconds.
        with progress(f"comparing {path} with qonnx") as report:
            found = read_qonnx(path, ties=ties, progress=report)
        note(f"{path}: {found.compared or NOT_COMPARED}")
        return found.graph
    raise typer.BadParameter(f"{path} is neither a .safetensors, a .qgraph nor an .onnx file")
