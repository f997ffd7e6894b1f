"""Pass: where channels meet one to one, both operands have them in the same lanes."""

from dataclasses import replace

from qnn.compiler.identity import copy_dense, fresh_name, weight_bits
from qnn.compiler.segments import segments
from qnn.graph.ir import Conv, Graph


def match_segments(graph: Graph) -> Graph:
    """Gather the operands of a channelwise convolution with a skip operand that lies otherwise.

    Both get a copy in one segment. A dense convolution needs none: it writes where its skip
    operand lies.
    """
    of = segments(graph)
    bits = weight_bits(graph)
    names = {node.name for node in graph.nodes}
    nodes = []
    for node in graph.nodes:
        if _differ(node, of):
            copies = [
                copy_dense(fresh_name(f"{name}_gathered", names), graph[name], bits)
                for name in node.inputs
            ]
            nodes += copies
            node = replace(node, input=copies[0].name, skip=copies[1].name)
        nodes.append(node)
    return Graph(tuple(nodes), graph.outputs)


def _differ(node, of):
    return (
        isinstance(node, Conv)
        and node.groups > 1
        and node.skip is not None
        and of[node.input] != of[node.skip]
    )
