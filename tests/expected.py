"""What every tensor of a network must be, by name, as ``sim.verify`` computes it for itself."""

import numpy as np

from qnn.backend.registry import DEFAULT, named
from qnn.ir.encode import Arrays
from qnn.ir.graph import Graph
from qnn.ir.reference import reference


def expected_tensors(graph: Graph, x: Arrays) -> dict[str, np.ndarray]:
    """The reference's tensors, and those of nodes that only the array's lowering makes."""
    return reference(named(DEFAULT).lower(graph), x) | reference(graph, x)
