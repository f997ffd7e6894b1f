"""Pass: what all channels of a result share is computed, so that it can be in every lane.

A row of the array finds a second operand in its own lane of a word. So a tensor of one channel that
results of several channels read has that channel in the lane of each row, which costs nothing where
it is computed: the other rows would be idle.
"""

from dataclasses import replace

from qnn.compiler.identity import copy_channels, fresh_name, weight_bits
from qnn.ir.graph import Graph
from qnn.ir.ops.operator import shared_operands


def shared_values(graph: Graph) -> frozenset[str]:
    """The tensors of one channel that has to be in every lane."""
    found: set[str] = set()
    for node in reversed(graph.nodes):
        found |= _needed(node, graph, found)
    return frozenset(found)


def copy_shared(graph: Graph) -> Graph:
    """Let what needs an input in every lane read a copy of it, as the host fills one lane alone."""
    shared = shared_values(graph)
    names, bits = {node.name for node in graph.nodes}, weight_bits(graph)
    copies = {
        node.name: copy_channels(fresh_name(f"{node.name}_copy", names), node, bits)
        for node in graph.inputs
        if node.name in shared
    }
    nodes = [*graph.inputs, *copies.values()]
    for node in graph.nodes[len(graph.inputs) :]:
        # Whatever else reads the input goes on with it.
        copied = copies.keys() & _needed(node, graph, shared)
        inputs = tuple(copies[name].name if name in copied else name for name in node.inputs)
        nodes.append(replace(node, inputs=inputs) if copied else node)
    return replace(graph, nodes=tuple(nodes))


def _needed(node, graph, shared):
    """The operands of ``node`` that have to be in every lane, if ``shared`` are."""
    own = {*node.in_place} if node.name in shared else set()
    return own | {*shared_operands(node, graph.sources(node))}
