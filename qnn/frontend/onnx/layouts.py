"""Inputs whose channels come last, as TensorFlow has them: read with channels first.

Exporters of TensorFlow and Keras transpose such an input before the first convolution. Here the
input is declared as what that transposition gives, which is what everything else takes; nothing is
computed for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from qnn.frontend.onnx.graph import OnnxGraph, OnnxInput, OnnxNode

TO_FIRST: Mapping[int, list[int]] = {3: [0, 2, 1], 4: [0, 3, 1, 2], 5: [0, 4, 1, 2, 3]}
# Of each value by itself, or with a constant that is moved too.
PLAIN = ("Cast", "Identity", "Relu", "Sigmoid", "Neg", "Clip", "QuantizeLinear", "DequantizeLinear")
BROADCAST = ("Add", "Sub", "Mul", "Div")


def channels_first(graph: OnnxGraph) -> tuple[OnnxGraph, dict[str, Sequence[int]]]:
    """The graph with its inputs' channels first, and the orders of those that it changed."""
    orders = {}
    for source in graph.inputs:
        moved = _moved(graph, source)
        if moved is not None:
            graph = moved
            rank = len(source.shape)
            orders[source.name] = (0, *range(2, rank), 1)
    return graph, orders


def _moved(graph: OnnxGraph, source: OnnxInput) -> OnnxGraph | None:
    """The graph with that input's channels first; None where they are, or where it is left open."""
    rank = len(source.shape)
    if rank not in TO_FIRST:
        return None
    # What is computed of it alone, up to the transpositions. A network that reads it in another way
    # too keeps its channels last.
    last = {source.name: rank}  # with the number of its axes
    nodes, constants, found = [], dict(graph.constants), False
    for node in graph.nodes:
        ranks = {last[name] for name in node.inputs if name in last}
        if not ranks:
            nodes.append(node)
        elif _transposes(node, source, constants, max(ranks)):
            nodes.append(replace(node, kind="Identity", inputs=node.inputs[:1], attributes={}))
            found = True
        elif len(ranks) == 1 and (moved := _with_axes(node, last, constants, *ranks)) is not None:
            nodes.append(moved)
            last[node.outputs[0]] = max(ranks) + (node.kind == "Unsqueeze")
        else:
            return None
    if not found or any(name in last for name in graph.outputs):
        return None
    first = replace(
        source,
        shape=tuple(source.shape[axis] for axis in TO_FIRST[rank]),
        names=tuple(source.names[axis] for axis in TO_FIRST[rank]),
    )
    inputs = tuple(first if each is source else each for each in graph.inputs)
    return replace(graph, nodes=tuple(nodes), constants=constants, inputs=inputs)


def _transposes(
    node: OnnxNode, source: OnnxInput, constants: Mapping[str, Tensor], rank: int
) -> bool:
    """Whether a node brings the channels of what that input has become to the front."""
    order = TO_FIRST[rank]
    if node.kind == "Transpose":
        return list(node.attributes.get("perm", [])) == order
    # Of one channel a reshape does the same.
    if node.kind != "Reshape" or source.shape[-1] != 1 or node.inputs[1] not in constants:
        return False
    if rank != len(source.shape):
        return False
    wanted = [source.shape[axis] for axis in order[1:]]
    return constants[node.inputs[1]].tolist()[1:] == wanted


def _with_axes(node, last, constants, rank) -> OnnxNode | None:
    """The node for operands with channels first; None: there is no such node."""
    if node.kind == "Pad":
        return _padded(node, constants, rank)
    if node.kind == "Unsqueeze":
        return _unsqueezed(node, constants, rank)
    return _elementwise(node, last, constants, rank)


def _with_numbers(node, name, constants, numbers) -> OnnxNode:
    if len(node.inputs) < 2:
        return replace(node, attributes={**node.attributes, name: numbers})
    moved = f"{name} of {node.outputs[0]} with channels first"
    constants[moved] = torch.tensor(numbers)
    return replace(node, inputs=(node.inputs[0], moved, *node.inputs[2:]))


def _padded(node, constants, rank) -> OnnxNode | None:
    pads = node.numbers("pads", constants)
    # Of some axes alone since opset 18, which no exporter of channels that come last writes.
    if pads is None or len(pads) != 2 * rank or len(node.inputs) > 3:
        return None
    order = TO_FIRST[rank]
    ends = [pads[axis] for axis in order], [pads[rank + axis] for axis in order]
    return _with_numbers(node, "pads", constants, [*ends[0], *ends[1]])


def _unsqueezed(node, constants, rank) -> OnnxNode | None:
    """An axis more before the channels, as one-dimensional convolutions of TensorFlow have it."""
    axes = node.numbers("axes", constants)
    if axes is None or len(axes) != 1 or rank + 1 not in TO_FIRST:
        return None
    axis = axes[0] % (rank + 1)
    # Neither before the images nor behind the channels.
    if axis in (0, rank):
        return None
    return _with_numbers(node, "axes", constants, [axis + 1])


def _elementwise(node, last, constants, rank) -> OnnxNode | None:
    """The node for operands with channels first; None: it looks at axes."""
    if node.kind in PLAIN:
        # A scale for each channel would be along another axis.
        scales = [constants.get(name) for name in node.inputs[1:] if name]
        alone = all(each is not None and each.numel() == 1 for each in scales)
        return node if alone or node.kind == "Clip" else None
    if node.kind not in BROADCAST:
        return None
    inputs = []
    for name in node.inputs:
        constant = constants.get(name)
        if name in last:
            inputs.append(name)
        elif constant is None or constant.dim() > rank:
            return None
        elif constant.numel() == 1:
            inputs.append(name)
        else:
            # Broadcast as NumPy does: its last axis is the channels'.
            whole = constant.reshape((1,) * (rank - constant.dim()) + tuple(constant.shape))
            moved = f"{name} with channels first"
            constants[moved] = whole.permute(TO_FIRST[rank]).contiguous()
            inputs.append(moved)
    return replace(node, inputs=tuple(inputs))
