"""Pass: each tensor lies in one concatenation at most, once, so that it is computed in place."""

from dataclasses import replace

from qnn.compiler.identity import copy_channels, fresh_name, weight_bits
from qnn.ir.graph import Graph
from qnn.ir.ops import Concat


def place_concats(graph: Graph) -> Graph:
    """Copy an operand of a concatenation that has its place in one already.

    A concatenation that is an operand of another stays: its channels are a part of the other's.
    """
    bits = weight_bits(graph)
    names = {node.name for node in graph.nodes}
    placed: set[str] = set()
    nodes = []
    for node in graph.nodes:
        if isinstance(node, Concat):
            operands = []
            for operand in node.inputs:
                name = operand
                if operand in placed:
                    name = fresh_name(f"{operand}_copy", names)
                    nodes.append(copy_channels(name, graph[operand], bits))
                placed.add(name)
                operands.append(name)
            node = replace(node, inputs=tuple(operands))
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))
