"""A slice of a convolution's result is a smaller padding and a longer stride of it."""

from dataclasses import replace

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.slice import Slice
from qnn.frontend.rewrite import Rewrite


def fold_slices(graph: FloatGraph) -> FloatGraph:
    """Let a convolution compute what is taken of it alone, where its windows can."""
    rewrite = Rewrite(graph)
    for node in rewrite.each(Slice):
        source = rewrite[node.inputs[0]]
        # What others read too is computed whole.
        if not source.inputs or rewrite.uses(source.name) > 1:
            continue
        part = source.sliced(node, rewrite[source.inputs[0]].shape)
        if part is not None:
            rewrite.exchange(source.name, replace(part, shape=node.shape))
            rewrite.exchange(node.name)
            rewrite.redirect(node.name, source.name)
    return rewrite.graph()
