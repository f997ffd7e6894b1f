"""Pass: nodes that reach no output go."""

from dataclasses import replace

from qnn.ir.graph import Graph


def remove_unused(graph: Graph) -> Graph:
    """Keep the input and what an output depends on."""
    used = {output.name for output in graph.outputs}
    for node in reversed(graph.nodes):
        if node.name in used:
            used.update(node.inputs)
    kept = (node for node in graph.nodes if node.name in used or node in graph.inputs)
    return replace(graph, nodes=tuple(kept))
