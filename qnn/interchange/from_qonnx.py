"""``from_qonnx``: a QONNX file to the graph of the same integers, nothing quantized again."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any
from warnings import warn

import numpy as np

from qnn.errors import CompileError, ModelError, QnnWarning, ToolError, first_line, one_line
from qnn.fields import FieldsError, parsed, typed
from qnn.files import read_at_most
from qnn.interchange.file_rules import MOST_NODES, check_no_integers, is_of_qonnx
from qnn.interchange.packages import is_installed, package
from qnn.interchange.qonnx_check import Progress, QonnxComparison, compare_with_qonnx
from qnn.interchange.qonnx_lines import unrounded_operator
from qnn.interchange.qonnx_model import PROPERTY
from qnn.interchange.qonnx_off_grid import check_scales
from qnn.interchange.qonnx_reader import QonnxReader, ReadNode
from qnn.interchange.qonnx_table import read_node
from qnn.interchange.qonnx_values import GivenInput, LaidOut, Line, MadeAt
from qnn.ir.check import check
from qnn.ir.graph import Graph, Output, host_in
from qnn.ir.ops import Input
from qnn.quant.ties import check_ties

if TYPE_CHECKING:
    from onnx import ModelProto

NOT_COMPARED = (
    "read without a run of qonnx beside it, which is not installed; pip install 'qnn[qonnx]' to "
    "have its integers compared"
)
MOST_CONSTANT_BYTES = 1 << 31
MOST_INPUT_VALUES = 1 << 26  # of an image: five times those of an 8K frame
# What may go wrong in a file that is none of those that tools write.
FAULTS = (ValueError, TypeError, KeyError, IndexError, OverflowError, AttributeError, MemoryError)


@dataclass(frozen=True)
class BeyondInput:
    """Of an input, what QONNX has no word for."""

    axes: str
    table: list[list[int]] | None
    statistics: tuple[tuple[float, float], ...] | None


def is_qonnx(model: "ModelProto") -> bool:
    """Whether a model has quantizers of QONNX, and so is no float network."""
    return any(is_of_qonnx(node.domain) for node in model.graph.node)


@dataclass(frozen=True, eq=False)
class ReadQonnx:
    """What was read of a QONNX file.

    Members
    -------
    compared : what equals qonnx's own executor; None: qonnx is not installed
    """

    graph: Graph
    compared: QonnxComparison | None


def from_qonnx(path: str | Path, *, ties: str = "even") -> Graph:
    """The integer graph of a QONNX file, each operator of which gave the integers of qonnx's own.

    Weights have to be on grids of powers of two (``FloatQuant`` without a mantissa, ``IntQuant``,
    ``BipolarQuant``), and activations to have power-of-two scales. They are taken as they are.
    Where qonnx is not installed, a warning says that nothing was compared.

    Parameters
    ----------
    ties : "even", halves as the file rounds them, or "up": they may round up where the file rounds
        them to even numbers, or away from 0. Then integers differ from the file's by 1 wherever a
        sum lies just between two, and nowhere else

    Raises
    ------
    ValueError
        ``ties`` is neither.
    ModelError
        The file is none of QONNX, has what an integer graph cannot have, or qonnx computes other
        integers of it.
    """
    found = read_qonnx(path, ties=ties)
    if found.compared is None:
        warn(f"{path}: {NOT_COMPARED}", QnnWarning, stacklevel=2)
    return found.graph


def read_qonnx(
    path: str | Path,
    *,
    ties: str = "even",
    progress: Progress = lambda _done, _all: None,
) -> ReadQonnx:
    """The same, with what was compared.

    Parameters
    ----------
    progress : told how many operators of all are compared

    Raises
    ------
    ModelError
        As for ``from_qonnx``.
    """
    check_ties(ties)
    path = Path(path)
    model = read_model(path)
    if not is_qonnx(model):
        check_no_integers(path, model)
        raise ModelError(
            f"{path}: from_qonnx needs quantizers of QONNX, but the file has none; a float network "
            f"is quantized with qnn.quantize"
        )
    try:
        # Numbers that are none are found by what they make.
        with np.errstate(all="ignore"):
            graph, tensors = _graph(model, ties)
        check(graph)
        if not is_installed("qonnx"):
            return ReadQonnx(graph, None)
        compared = compare_with_qonnx(model, graph, tensors, ties=ties, progress=progress)
    except (ModelError, CompileError, ToolError) as error:
        raise type(error)(f"{path}: {one_line(error)}") from None
    except FieldsError as error:
        raise ModelError(
            f"{path}: property {PROPERTY}: {one_line(error)}; export it again"
        ) from None
    except FAULTS as error:
        raise ModelError(
            f"{path}: not a QONNX network as tools write it ('{first_line(error)}'); export it "
            f"again"
        ) from None
    return ReadQonnx(graph, compared)


def read_model(path: Path) -> "ModelProto":
    """The model in a file, which has to hold all of its constants itself.

    Raises
    ------
    ModelError
        There is no such file, or it is no model.
    """
    onnx = package("onnx")
    try:
        data = read_at_most(path, MOST_CONSTANT_BYTES)
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be read ('{error.strerror}'); give a file of ONNX"
        ) from None
    if data is None:
        raise ModelError(f"{path}: a file of ONNX needs at most 2 GiB; export a part of it")
    try:
        model = onnx.ModelProto.FromString(data)
    except Exception:  # protobuf's own kind, which depends on how it was built
        raise ModelError(f"{path}: not a file of ONNX; export it again") from None
    if not model.graph.node or len(model.graph.node) > MOST_NODES:
        raise ModelError(
            f"{path}: a network needs 1 to {MOST_NODES:,} nodes, but the file has "
            f"{len(model.graph.node):,}; export it again"
        )
    # Also those of nodes: a file must not name others, which reading a tensor would open.
    own = [each.t for node in model.graph.node for each in node.attribute if each.HasField("t")]
    if any(each.data_location for each in (*model.graph.initializer, *own)):
        raise ModelError(f"{path}: constants need to be in the file; save it without external data")
    return model


def _graph(model, ties):
    """The graph, and the tensor of the file that each of its operators stands for."""
    beyond = _beyond(model)
    reader = QonnxReader(
        axes={name: each.axes for name, each in beyond["inputs"].items()}, ties=ties
    )
    values = dict(_constants(model))
    given = [node for node in model.graph.node if node.op_type == "Constant" and node.output]
    check_scales(model, values | {node.output[0]: _attributes(node).get("value") for node in given})
    # Old files list constants among the inputs.
    for port in model.graph.input:
        if port.name not in values:
            sizes = [each.dim_value for each in port.type.tensor_type.shape.dim]
            if prod(sizes[1:]) > MOST_INPUT_VALUES or min(sizes, default=0) < 0:
                raise ModelError(f"input '{port.name}' needs a sensible shape, but got {sizes}")
            values[port.name] = GivenInput(port.name, tuple(sizes[1:]))
    for number, node in enumerate(model.graph.node):
        name = node.name or (node.output[0] if node.output else node.op_type)
        read = ReadNode(MadeAt(number, name), node.op_type, _attributes(node))
        missing = [each for each in node.input if each and each not in values]
        if missing:
            raise ModelError(
                f"QONNX node '{name}' needs '{missing[0]}' before it, but no node gives it; sort "
                f"the nodes by their use"
            )
        operands = [values[each] if each else None for each in node.input]
        # What is left out at the end is not there; before that it keeps its place.
        while operands and operands[-1] is None:
            operands.pop()
        values[node.output[0]] = read_node(reader, read, operands)
    outputs = [_output(reader, values[port.name], port, beyond) for port in model.graph.output]
    if beyond["outputs"]:
        outputs = [Output(name, tuple(shape), axes) for name, shape, axes in beyond["outputs"]]
    # What is not read is no input, as no quantizer says its type.
    inputs = {each.name: each for each in reader.inputs}
    # In the order of the model's inputs, whichever was read first.
    ordered = [inputs[port.name] for port in model.graph.input if port.name in inputs]
    reader.inputs[:] = [_with_beyond(each, beyond["inputs"].get(each.name)) for each in ordered]
    read = {name: number for name, (number, _) in reader.made.items()} | reader.quantized
    tensors = {name: model.graph.node[number].output[0] for name, number in read.items()}
    return Graph(reader.nodes(), tuple(outputs), host_in(beyond["host"], outputs)), tensors


def _beyond(model):
    """What the property says, checked; of other tools' files nothing."""
    found = [each.value for each in model.metadata_props if each.key == PROPERTY]
    said = parsed(found[0].encode()) if found else {}
    if not isinstance(said, dict):
        raise FieldsError("an object", type(said).__name__)
    return {
        "inputs": typed(dict[str, BeyondInput], said.get("inputs", {})),
        "outputs": typed(list[tuple[str, list[int], str | None]], said.get("outputs", [])),
        "unrounded": typed(dict[str, tuple[int, int]], said.get("unrounded", {})),
        "host": typed(str | None, said.get("host")),
    }


def _with_beyond(node: Input, beyond: BeyondInput | None) -> Input:
    if beyond is None:
        return node
    table = None if beyond.table is None else np.array(beyond.table, np.int64)
    return replace(node, table=table, statistics=beyond.statistics)


def _constants(model) -> Iterator[tuple[str, np.ndarray]]:
    size = sum(len(each.raw_data) for each in model.graph.initializer)
    if size > MOST_CONSTANT_BYTES:
        raise ModelError(f"constants need at most {MOST_CONSTANT_BYTES} bytes, but got {size}")
    to_array = package("onnx.numpy_helper").to_array
    for each in model.graph.initializer:
        yield each.name, to_array(each)


def _attributes(node) -> dict[str, Any]:
    helper, numpy_helper = package("onnx.helper"), package("onnx.numpy_helper")
    found = {}
    for each in node.attribute:
        value = helper.get_attribute_value(each)
        if isinstance(value, bytes):
            value = value.decode()
        # Of a Constant.
        found[each.name] = numpy_helper.to_array(value) if each.HasField("t") else value
    return found


def _output(reader, value, port, beyond):
    """An output of the model, in its shape without the batch."""
    moved = isinstance(value, LaidOut) and value.moved
    inner = value.value if isinstance(value, LaidOut) else value
    place = MadeAt(0, port.name)
    if isinstance(inner, Line):
        known = beyond["unrounded"].get(inner.place.name)
        # One line may be several outputs.
        if inner.place.name not in reader.made:
            reader.add(inner.place, unrounded_operator(inner, known))
        node = reader.made[inner.place.name][1]
    else:
        node = reader.tensor(inner, place)
    # An order of axes is more than a shape says; files of ours say it beside.
    if moved and not beyond["outputs"]:
        raise ModelError(f"output '{port.name}' needs its axes in order; leave out Transpose")
    sizes = tuple(each.dim_value for each in port.type.tensor_type.shape.dim)[1:]
    return Output(node.name, sizes)
