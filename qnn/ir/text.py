"""A graph as text: one line a node, what matters to a reader, arrays as their ranges."""

import numpy as np

from qnn.ir.graph import Concat, Conv, Graph, Input, MaxPool


def text(graph: Graph) -> str:
    """One line for each node, ``name: type shape = kind(operands) details``, then the outputs."""
    lines = [f"{_head(node)} = {_BODIES[type(node)](node)}" for node in graph.nodes]
    results = ", ".join(f"{output.name} {_sizes(output.shape)}" for output in graph.outputs)
    return "\n".join([*lines, f"return {results}"])


def _head(node):
    return f"{node.name}: {node.type} {_sizes(node.shape)}"


def _input(node: Input):
    return "input()" if node.table is None else "input() table"


def _conv(node: Conv):
    kind = "depthwise" if node.groups > 1 and node.depthwise else "conv"
    terms, bits = node.codes.shape[0], node.weight_bits
    parts = [f"{kind}({node.input}) {_sizes(node.kernel)} w{bits}" + (f"x{terms}" * (terms > 1))]
    parts += [f"groups={node.groups}"] * (node.groups > 1 and not node.depthwise)
    parts += _window(node)
    parts.append(f"bias={_range(node.bias)}")
    if node.left.any():
        parts.append(f"left={_range(node.left)}")
    if node.skip is not None:
        parts.append(f"+ {node.skip}<<{_range(node.skip_left)}")
    if node.rounded:
        parts.append(f">>{_range(node.right)} clamp {node.low}..{node.high}")
    else:
        parts.append("unrounded")
    return " ".join(parts)


def _max_pool(node: MaxPool):
    return " ".join([f"maxpool({node.input}) {_sizes(node.kernel)}", *_window(node)])


def _concat(node: Concat):
    return f"concat({', '.join(node.inputs)})"


def _window(node):
    """What of a window differs from the usual."""
    parts = []
    if node.stride != (1, 1):
        parts.append(f"stride={_sizes(node.stride)}")
    if any(node.padding):
        parts.append(f"pad={','.join(map(str, node.padding))}")
    if node.dilation != (1, 1):
        parts.append(f"dilation={_sizes(node.dilation)}")
    return parts


def _sizes(sizes):
    return "x".join(map(str, sizes))


def _range(values: np.ndarray):
    least, most = int(values.min()), int(values.max())
    return str(least) if least == most else f"{least}..{most}"


_BODIES = {Input: _input, Conv: _conv, MaxPool: _max_pool, Concat: _concat}
