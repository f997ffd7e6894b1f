"""The quantized network as a QONNX model: reals, and quantizers that say what integers they are.

Weights are sums of ``FloatQuant`` without a mantissa, one for each term; activations are
``IntQuant`` with power-of-two scales. Inputs and outputs are reals, and the batch is 1, as qonnx
executes fixed shapes alone. What QONNX has no word for stands in the property ``PROPERTY``: tables
of pixels, axes, types of what is not rounded, and what the host computes of the outputs.
"""

import json
from typing import TYPE_CHECKING

from qnn.interchange.axis_nodes import as_blocks, as_given
from qnn.interchange.number_type import FLOAT
from qnn.interchange.qonnx_nodes import qonnx_nodes
from qnn.interchange.qonnx_quantizers import DOMAIN, exact_reals, int_quant
from qnn.interchange.writer import OnnxWriter
from qnn.ir.bounds import check_whole
from qnn.ir.graph import Graph
from qnn.ir.shape import user_shape

if TYPE_CHECKING:
    from onnx import ModelProto

PROPERTY = "qnn.network"
DOC = (
    "The quantized network of qnn. Halves round up: half a step is part of each bias, and each "
    "IntQuant cuts off. All scales and all weights of FloatQuant are powers of two."
)


def qonnx_model(graph: Graph) -> "ModelProto":
    """The model of ``graph``.

    Raises
    ------
    CompileError
        QONNX cannot express the network, or qonnx would not compute it exactly.
    """
    writer = OnnxWriter()
    # First, so that what users name has its name whatever is between.
    names = [writer.take(name) for name in graph.output_names]
    for node in graph.inputs:
        writer.scope = node.name
        writer.values[node.name] = _input(writer, node)
    for node in graph.nodes[len(graph.inputs) :]:
        writer.scope = node.name
        check_whole(graph, node)
        operands = [writer.values[name] for name in node.inputs]
        writer.values[node.name] = qonnx_nodes(node, writer, operands, graph.sources(node))
    # An operator may be an output and read by others, so that outputs are nodes of their own.
    for output, name in zip(graph.outputs, names, strict=True):
        writer.scope = name
        value = as_given(writer, writer.values[output.name], output, graph[output.name].shape)
        writer.output(writer.add("Identity", value, name=name), (1, *output.shape))
    return writer.model(DOC, {PROPERTY: json.dumps(_beyond(graph))}, (DOMAIN,))


def _input(writer, node):
    x = writer.input(node.name, FLOAT, (1, *user_shape(node.shape, node.axes)))
    x = as_blocks(writer, x, node.axes, node.shape)
    # Half a step, so that reals between two steps round as ours do.
    half = writer.constant(exact_reals(1, node.type.exponent + 1), FLOAT)
    return int_quant(writer, writer.add("Add", x, half), node.type, node.name)


def _beyond(graph):
    """What QONNX has no word for, as JSON has it."""
    inputs = {
        node.name: {
            "axes": node.axes,
            "table": None if node.table is None else node.table.tolist(),
            "statistics": node.statistics,
        }
        for node in graph.inputs
    }
    unrounded = {
        node.name: [node.type.bits, node.type.exponent] for node in graph.nodes if not node.rounded
    }
    return {
        "inputs": inputs,
        "outputs": [[each.name, each.shape, each.axes] for each in graph.outputs],
        "unrounded": unrounded,
        "host": None if graph.host is None else graph.host.text(full=True),
    }
