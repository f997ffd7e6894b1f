"""What a verification holds tensors to: the reference's values of the network and its layers."""

import numpy as np

from qnn.ir.encode import Arrays
from qnn.ir.graph import Graph
from qnn.ir.reference import reference


def expected_tensors(graph: Graph, lowered: Graph, x: Arrays) -> dict[str, np.ndarray]:
    """Every tensor of ``lowered``, which a back end computes, and of ``graph``; of a name both's.

    Of two nodes of a name that differ, the network's counts. The same ones are computed once.
    """
    tensors = reference(lowered, x)
    nodes, same = {node.name: node for node in lowered.nodes}, set()
    for node in graph.nodes:
        # The very node, and not only one of its name, with operands that are the same.
        if nodes.get(node.name) is node and same.issuperset(node.inputs):
            same.add(node.name)
    return tensors | reference(graph, x, known={name: tensors[name] for name in same})
