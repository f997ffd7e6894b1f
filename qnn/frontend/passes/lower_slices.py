"""Every n-th row and column is a copy with a stride."""

from dataclasses import replace

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.conv import identity
from qnn.frontend.ops.slice import Slice
from qnn.frontend.rewrite import Rewrite


def lower_slices(graph: FloatGraph) -> FloatGraph:
    """Exchange each slice for such a copy."""
    rewrite = Rewrite(graph)
    for node in rewrite.each(Slice):
        copy = identity(node.name, rewrite[node.inputs[0]])
        window = replace(copy.window, stride=node.stride)
        rewrite.exchange(node.name, replace(copy, shape=node.shape, window=window))
    return rewrite.graph()
