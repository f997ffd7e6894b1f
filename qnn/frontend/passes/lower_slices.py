"""A slice is a copy with a stride, which cuts off what lies around it."""

from dataclasses import replace

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.conv import identity
from qnn.frontend.ops.slice import Slice
from qnn.frontend.ops.window import sliced
from qnn.frontend.rewrite import Rewrite


def lower_slices(graph: FloatGraph) -> FloatGraph:
    """Exchange each slice for such a copy."""
    rewrite = Rewrite(graph)
    for node in rewrite.each(Slice):
        source = rewrite[node.inputs[0]]
        copy = identity(node.name, source)
        window = sliced(copy.window, node.start, node.stride, node.shape[1:], source.shape[1:])
        rewrite.exchange(node.name, replace(copy, shape=node.shape, window=window))
    return rewrite.graph()
