"""A clamp or a function behind pooling, flatten, slice or pad moves before it, if that is equal.

There it may join a convolution, and what it moves over stays a plain copy of values.
"""

from dataclasses import replace

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.clamp import Clamp
from qnn.frontend.ops.function import FloatFunction
from qnn.frontend.ops.quantizer import Quantizer
from qnn.frontend.ops.slice import Slice
from qnn.frontend.rewrite import Rewrite


def hoist_activations(graph: FloatGraph) -> FloatGraph:
    """Move each one up over what commutes with it and has no other reader."""
    rewrite = Rewrite(graph)
    for kind in (Clamp, FloatFunction, Quantizer):
        for node in rewrite.each(kind):
            # Several may lie in a row: each is passed before the next one has its turn.
            source = rewrite[node.inputs[0]]
            while node.moves_before(source) and _is_alone(source, rewrite):
                node = _moved(node, rewrite)
                source = rewrite[node.inputs[0]]
    return rewrite.graph()


def _is_alone(source, rewrite):
    """Whether nothing else reads ``source``, and nothing else what that takes a part of."""
    if rewrite.uses(source.name) > 1:
        return False
    # Before a slice that has others beside it, all that the slice leaves would be computed too.
    return source.kind != Slice.kind or rewrite.uses(source.inputs[0]) == 1


def _moved(node, rewrite):
    """The clamp or function at its place before the node that it alone read."""
    over = rewrite[node.inputs[0]]
    shape = rewrite[over.inputs[0]].shape
    first = replace(node, inputs=over.inputs, shape=shape)
    # Readers of its result read what it moves over, whose values are now the same.
    rewrite.redirect(node.name, over.name)
    rewrite.exchange(node.name)
    rewrite.exchange(over.name, first, replace(over, inputs=(node.name,)))
    return first
