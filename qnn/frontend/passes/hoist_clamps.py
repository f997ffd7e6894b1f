"""A clamp behind maximum pooling, flatten, slice or pad moves before it, where that is equal.

There it may join a convolution, and what it moves over stays a plain copy of values.
"""

from dataclasses import replace

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.clamp import Clamp
from qnn.frontend.rewrite import Rewrite


def hoist_clamps(graph: FloatGraph) -> FloatGraph:
    """Move each clamp up over what commutes with it and has no other reader."""
    rewrite = Rewrite(graph)
    for clamp in rewrite.each(Clamp):
        # Several may lie in a row: each is passed before the next clamp has its turn.
        while _moves_over(clamp, rewrite[clamp.inputs[0]], rewrite):
            clamp = _moved(clamp, rewrite)
    return rewrite.graph()


def _moves_over(clamp, source, rewrite):
    return source.passes_clamp(clamp.low, clamp.high) and rewrite.uses(source.name) == 1


def _moved(clamp, rewrite):
    """The clamp at its place before the node that it alone read."""
    over = rewrite[clamp.inputs[0]]
    shape = rewrite[over.inputs[0]].shape
    first = replace(clamp, inputs=over.inputs, shape=shape)
    # Readers of the clamp's result read what it moves over, whose values are now the same.
    rewrite.redirect(clamp.name, over.name)
    rewrite.exchange(clamp.name)
    rewrite.exchange(over.name, first, replace(over, inputs=(clamp.name,)))
    return first
