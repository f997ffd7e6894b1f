"""A module of PyTorch from an ONNX file: ``qnn.from_onnx``."""

from collections.abc import Sequence
from pathlib import Path

from torch import fx

from qnn.errors import ModelError, one_line
from qnn.frontend.faults import FaultyModel
from qnn.frontend.onnx.as_in_file import AsInFile
from qnn.frontend.onnx.batches import images_of, planned, shapes_of
from qnn.frontend.onnx.graph import OnnxGraph, graph_of
from qnn.frontend.onnx.grids import mark_grid
from qnn.frontend.onnx.layouts import channels_first
from qnn.frontend.onnx.lines import along_lines
from qnn.frontend.onnx.module import module_of
from qnn.frontend.onnx.protos import read_proto
from qnn.frontend.onnx.qlinear import as_qdq
from qnn.frontend.onnx.qonnx_quantizers import NAMES
from qnn.frontend.onnx.states import images_first, with_numbers
from qnn.frontend.onnx.whole import scales_of


def from_onnx(
    path: str | Path,
    input_shapes: Sequence[tuple[int, ...] | float] | None = None,
    *,
    requantize: bool = False,
) -> fx.GraphModule:
    """The float network in an ONNX file, as a module that ``quantize`` and everything else takes.

    Its layers have the names of the file's nodes. Inputs have their channels first, also where the
    file transposes them first thing, as those of TensorFlow do, and their images before, also
    states of recurrent layers. Nothing in the file is run or unpickled.

    Parameters
    ----------
    path : the file, whose larger weights may be in files beside it
    input_shapes : of one image of each input, without the batch, where the file leaves sizes free;
        for an input that is one number, that number, which becomes a constant
    requantize : take a QONNX file, too, to be quantized anew: ``quantize`` then keeps what is on a
        grid of powers of two, and chooses formats for the rest

    Raises
    ------
    QnnError
        There is no such file, it is no ONNX model, or its shapes are not known.
    FaultyModel
        It has operators that are not read; it names each.
    """
    # Before shapes are asked for, as they are then those of channels first.
    read = read_graph(Path(path), requantize)
    if requantize and not any(node.kind in NAMES for node in read.nodes):
        raise ModelError(
            f"{path}: requantize (--requantize) needs quantizers of QONNX, but the file has none; "
            f"leave it out"
        )
    graph, given, numbers = with_numbers(read, input_shapes)
    graph, states = images_first(graph)
    graph, orders = channels_first(graph)
    graph = along_lines(graph)
    plan = planned(graph, shapes_of(graph.inputs, given))
    images, scales = images_of(graph), scales_of(graph)
    file = AsInFile({**orders, **states}, numbers, plan.moved, images, scales)
    module = file.mark(module_of(plan))
    return mark_grid(module, plan.walk) if requantize else module


def read_graph(path: Path, requantize: bool = False) -> OnnxGraph:
    """The graph in an ONNX file, every line about which names the file.

    Raises
    ------
    QnnError
        As for ``from_onnx``.
    """
    try:
        proto = read_proto(path)
        graph = as_qdq(graph_of(proto, path.parent, requantize))
    except FaultyModel:
        raise
    except ModelError as error:
        text = one_line(error)
        raise ModelError(text if text.startswith(f"{path}: ") else f"{path}: {text}") from None
    # Any, of a file alone: a name may be bytes that are no text, and a list anything.
    except (AttributeError, IndexError, TypeError, ValueError):
        raise ModelError(
            f"{path}: an ONNX model needs names that are text, and parts of the kinds that ONNX "
            f"has, but has others; export it again, or copy all of it"
        ) from None
    if not graph.inputs:
        raise ModelError(f"{path}: an ONNX model needs an input, but has none; export it again")
    return graph
