"""Pass: each operand of an interleaving is computed for it alone, directly before it."""

from dataclasses import replace

from qnn.compiler.identity import copy_channels, copy_in_order, fresh_name, weight_bits
from qnn.compiler.segments import segments
from qnn.ir.graph import Graph


def place_interleaves(graph: Graph) -> Graph:
    """Copy what does not have its one use in an interleaving, and move the rest to its place.

    Between the pixels of an operand lie those of others, so that nothing else can read it there.
    """
    bits, parts = weight_bits(graph), segments(graph)
    names = {node.name for node in graph.nodes}
    joins = [node for node in graph.nodes if node.interleaves]
    moved = {n for node in joins for n in node.inputs if _is_placed(graph, parts, node, n)}
    nodes = []
    for node in graph.nodes:
        if node.interleaves:
            copy = copy_channels if _same(parts, node) else copy_in_order
            operands = [
                graph[name]
                if name in moved
                else copy(fresh_name(f"{name}_copy", names), graph[name], bits)
                for name in node.inputs
            ]
            # One directly behind the other, as they are computed together.
            nodes += operands
            node = replace(node, inputs=tuple(operand.name for operand in operands))
        if node.name not in moved:
            nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def _same(parts, node):
    """Whether all operands have their channels in the same lanes."""
    return len({parts[name] for name in node.inputs}) == 1


def _is_placed(graph, parts, node, name):
    """Whether an operand is computed, for this interleaving alone, with its channels in order."""
    once = graph.users(name) == (node,) and node.inputs.count(name) == 1
    alone = once and all(name != output.name for output in graph.outputs)
    in_order = _same(parts, node) or len(parts[name]) == 1
    return alone and in_order and graph[name].is_computed
