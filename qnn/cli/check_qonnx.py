"""``qnn check`` of a QONNX file: taken as it is, quantized anew on request, or refused."""

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from qnn.cli.exit_codes import ExitCode
from qnn.cli.float_options import Shapes, read_file
from qnn.cli.kept import print_kept, rows_of
from qnn.cli.model_sizes import ModelSizes, fields, print_sizes, sizes_of
from qnn.cli.output import print_json, progress
from qnn.cli.sources import read_config
from qnn.errors import QnnError

if TYPE_CHECKING:
    from qnn.ir.graph import Graph

AS_IT_IS, ANEW, REFUSED = "as it is", "quantized anew", "refused"


@dataclass(frozen=True)
class QonnxCheck:
    """What will happen to a file.

    Members
    -------
    taken : one of the words above
    rows : of each layer its name, and what becomes of its weights and of the type of its result
    why : it is not taken as it is, in a line; empty where it is
    compared : what equals qonnx, in a line; empty where nothing was compared
    fits : the configuration that was tried, of a network that is taken as it is
    """

    taken: str
    rows: list[dict[str, str]]
    sizes: ModelSizes | None
    why: str = ""
    compared: str = ""
    fits: str | None = None


def is_qonnx_file(path: str) -> bool:
    """Whether there is a file of ONNX that has quantizers of QONNX."""
    from qnn.interchange.from_qonnx import is_qonnx, read_model

    try:
        return is_qonnx(read_model(Path(path)))
    # Whoever reads it as a float network says what it lacks.
    except QnnError:
        return False


def check_qonnx(name: str, shapes: Shapes, target: tuple, ties: str, as_json: bool) -> None:
    """Print what will happen to a QONNX file; leaves with 3 if nothing can be made of it.

    Parameters
    ----------
    target : configuration, settings and back end, as ``read_config`` takes them
    """
    try:
        found = _as_it_is(name, target, ties)
    # Also where it is read exactly, but no array takes it: other formats may fit.
    except QnnError as error:
        found = _anew(name, shapes, str(error).removeprefix(f"{name}: "))
    if as_json:
        print_json(
            {
                "model": name,
                "taken": found.taken,
                "fits": found.taken != REFUSED,
                "config": found.fits,
                "why": found.why or None,
                "compared": found.compared or None,
                "layers": found.rows,
                "sizes": fields(found.sizes) if found.sizes else None,
            }
        )
    else:
        _print(name, found)
    # After the print, as for a float model.
    if found.taken == REFUSED:
        raise typer.Exit(ExitCode.REFUSAL)


def _as_it_is(name, target, ties):
    from qnn.design import compile
    from qnn.interchange.from_qonnx import NOT_COMPARED, read_qonnx
    from qnn.ptq.keep_grid import KeptLayer

    with progress(f"comparing {name} with qonnx") as report:
        read = read_qonnx(name, ties=ties, progress=report)
    # Whether an array takes it is known of integers alone.
    config, settings, backend = target
    sizes = read_config(config, settings, read.graph, backend=backend)
    compile(read.graph, sizes, backend=backend)
    layers = read.graph.nodes[len(read.graph.inputs) :]
    rows = rows_of(KeptLayer(node.name, True, True) for node in layers)
    compared = str(read.compared or NOT_COMPARED)
    return QonnxCheck(AS_IT_IS, rows, _sizes(read.graph), compared=compared, fits=str(sizes))


def _sizes(graph: "Graph") -> ModelSizes:
    # Those of one term: further ones are further steps with the same weights.
    codes = [node.codes for node in graph.nodes if hasattr(node, "codes")]
    return ModelSizes(
        products=sum(node.macs for node in graph.nodes),
        weights=sum(each[0].size for each in codes),
        largest=max(prod(node.shape) for node in graph.nodes),
    )


def _anew(name, shapes, why):
    """What ``--requantize`` would make of the file."""
    from qnn.frontend.capture import capture
    from qnn.frontend.example import example_of
    from qnn.frontend.fuse import fuse
    from qnn.frontend.onnx.grids import grid_of
    from qnn.ptq.keep_grid import keep_grid, kept_in

    try:
        model, difference = read_file(name, shapes, requantize=True)
        # As quantization would begin, before any data.
        fused = fuse(capture(model, example_of(model, [])), checked=True)
        kept, types = keep_grid(fused, grid_of(model), 3, (None,) * len(fused.inputs))
    # Both reasons: either may be the one that a user can mend.
    except QnnError as error:
        text = str(error).removeprefix(f"{name}: ")
        return QonnxCheck(REFUSED, [], None, why=f"{why}; nor can it be quantized anew: {text}")
    rows = rows_of(kept_in(model, kept, types))
    return QonnxCheck(ANEW, rows, sizes_of(fused), why=why, compared=str(difference))


def _print(name, found):
    print_kept(name, found.rows)
    # First what will happen, then what it takes.
    if found.taken == AS_IT_IS:
        print(f"{name}: taken as it is, integer for integer; fits {found.fits}")
    elif found.taken == ANEW:
        print(f"{name}: not taken as it is: {found.why}")
        print(f"'qnn quantize {name} --requantize' keeps what the table says, and chooses the rest")
    else:
        print(f"{name}: refused: {found.why}")
    if found.compared:
        print(found.compared)
    if found.sizes:
        print_sizes(found.sizes)
