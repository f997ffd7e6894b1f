"""The integer network as an ONNX model of standard operators, whose outputs equal ours bit for bit.

Inputs are 8-bit pixels where the network has a table for them, else integers of the input's type;
outputs are the integers of each output, in the user's shape, and behind them what the host makes of
them. The properties of the model say what real an integer stands for.
"""

import json
from typing import TYPE_CHECKING

import numpy as np

from qnn.interchange.axis_nodes import as_blocks, as_given
from qnn.interchange.file_rules import INTEGER_INPUTS
from qnn.interchange.host_nodes import host_results
from qnn.interchange.number_type import DOUBLE, FLOAT, INTEGER
from qnn.interchange.operator_nodes import operator_nodes
from qnn.interchange.writer import BATCH, OnnxWriter
from qnn.ir.bounds import check_whole
from qnn.ir.graph import Graph, network_tensors
from qnn.ir.ops import Input
from qnn.ir.ops.input import PIXELS
from qnn.ir.reference import fits_32_bits
from qnn.ir.shape import joined, user_shape
from qnn.quant.qtype import QType

if TYPE_CHECKING:
    from onnx import ModelProto

DOC = (
    "The integer network of qnn, in operators that every ONNX runtime has. All values between "
    "operators are whole numbers; types were chosen by proof so that no operation rounds them. "
    "An integer q of a tensor with exponent f stands for the real q * 2**-f; inputs and outputs "
    "have theirs in the properties."
)
TENSOR = "tensor/"  # begins the names of outputs that are tensors between operators


def integer_model(graph: Graph, *, codes: bool = False, tensors: bool = False) -> "ModelProto":
    """The model of ``graph``.

    Parameters
    ----------
    codes : take integers of the inputs' types also where there is a table of pixels
    tensors : also give every tensor of the graph, (images, channels, height, width), under its name
        behind ``TENSOR``

    Raises
    ------
    CompileError
        A sum may be too large for the type that holds it, or the network for a file.
    """
    writer = OnnxWriter()
    # First, so that what users name has its name whatever is between.
    names = [writer.take(name) for name in graph.output_names]
    extra = {node.name: writer.take(f"{TENSOR}{node.name}") for node in graph.nodes if tensors}
    for node in graph.inputs:
        writer.scope = node.name
        writer.values[node.name] = _input(writer, node, codes)
    for node in graph.nodes[len(graph.inputs) :]:
        writer.scope = node.name
        check_whole(graph, node)
        # Rounded operands are float32, and the unrounded are outputs alone, as ``check`` has it.
        operands = [writer.values[name] for name in node.inputs]
        writer.values[node.name] = operator_nodes(node, writer, operands, graph.sources(node))
    integers = _outputs(writer, graph, names)
    results = _results(writer, graph, integers)
    for name, made in extra.items():
        node = graph[name]
        whole = writer.cast(writer.values[name], integer_type(node.type), made)
        writer.output(whole, (BATCH, *node.shape))
    return writer.model(DOC, _properties(graph, names, results, codes))


def integer_type(type: QType) -> np.dtype:
    """The integers of a tensor of ``type`` as the model gives them, and as the reference does."""
    return np.dtype(np.int32) if fits_32_bits(type) else INTEGER


def takes_pixels(node: Input, codes: bool) -> bool:
    """Whether the model takes 8-bit pixels for an input."""
    return node.table is not None and not codes


def _input(writer, node, codes):
    pixels = takes_pixels(node, codes)
    shape = (BATCH, *user_shape(node.shape, node.axes))
    x = writer.input(node.name, np.uint8 if pixels else np.int32, shape)
    x = as_blocks(writer, x, node.axes, node.shape)
    if not pixels:
        return writer.cast(x, FLOAT)
    # The rows of all channels lie behind each other, 256 entries each.
    first = np.arange(node.shape[0])[:, None, None] * PIXELS
    places = writer.add("Add", writer.cast(x, INTEGER), writer.constant(first))
    return writer.add("Gather", writer.constant(node.table.ravel(), FLOAT), places, axis=0)


def _outputs(writer, graph, names):
    """The integers of each output in the user's shape, which the model gives under ``names``."""
    found = []
    for output, name in zip(graph.outputs, names, strict=True):
        node, writer.scope = graph[output.name], name
        value = as_given(writer, writer.values[node.name], output, node.shape)
        integers = writer.cast(value, integer_type(node.type), name)
        writer.output(integers, (BATCH, *output.shape))
        found.append(integers)
    return found


def _results(writer, graph, integers):
    """What the user's model gives, where it is more than reals of the outputs; names of it."""
    # One integer for each value is all there is to say of most networks.
    if graph.host is None and len(network_tensors(graph.outputs)) == len(graph.outputs):
        return []
    writer.scope = "host"
    reals = [
        _reals(writer, tensor, graph[output.name].type.exponent)
        for tensor, output in zip(integers, graph.outputs, strict=True)
    ]
    axes = [output.axes for output in graph.outputs]
    whole = joined(reals, axes, lambda parts, axis: writer.add("Concat", *parts, axis=axis))
    shapes = [(BATCH, *each.shape) for each in network_tensors(graph.outputs)]
    results, labels = list(whole), map(str, range(len(whole)))
    if graph.host is not None:
        results, labels = host_results(writer, graph.host, whole), graph.host.labels
        shapes = _result_shapes(graph.host, [each[1:] for each in shapes])
    names = [writer.take(f"result.{label}" if label else "result") for label in labels]
    for result, name, shape in zip(results, names, shapes, strict=True):
        writer.output(writer.add("Identity", result, name=name), shape)
    return names


def _result_shapes(host, tensors):
    """The shape of each result, with the name of the batch where the images are."""
    every, found = host.shapes(tensors), []
    for place, number in enumerate(host.results):
        axis, shape = host.batch_axis(place), every[number]
        found.append((*shape[:axis], BATCH, *shape[axis + 1 :]))
    return found


def _reals(writer, integers, exponent):
    # float64 has every integer of 48 bits, and its product with a power of two.
    scale = writer.constant(np.ldexp(1.0, -exponent), DOUBLE)
    return writer.add("Mul", writer.cast(integers, DOUBLE), scale)


def _properties(graph, names, results, codes):
    """What a reader has to know of inputs and outputs, as text of JSON."""
    inputs = {
        node.name: {"takes": "pixels"} if takes_pixels(node, codes) else _meaning(node.type)
        for node in graph.inputs
    }
    outputs = {
        name: _meaning(graph[output.name].type)
        for name, output in zip(names, graph.outputs, strict=True)
    }
    return {
        INTEGER_INPUTS: json.dumps(inputs),
        "qnn.outputs": json.dumps(outputs),
        "qnn.results": json.dumps(results),
    }


def _meaning(type):
    return {"takes": "integers", "exponent": type.exponent, "low": type.low, "high": type.high}
