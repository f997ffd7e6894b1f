"""How much each divisor counts where a tensor is divided by its own norm.

A product of a tensor and a reciprocal errs by the tensor times the reciprocal's error: in squares,
over all that the norm is of, by the sum of the squares. A norm of 0, as of a black pixel, divides
nothing but zeros, so that its reciprocal, which may be 1e12, counts for nothing at all.
"""

import torch

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.conv import FloatConv
from qnn.functions.elementwise import Elementwise
from qnn.quant.histogram import Histogram


def weighed(graph: FloatGraph, conv: FloatConv, sums: Histogram) -> Histogram:
    """``sums``, of which ``conv`` gives reciprocals, as often as they count.

    They count alike where the tensor that is divided is not the one that they are of.
    """
    divided = {name for user in _multiplied(graph, conv.name) for name in user.inputs}
    return (sums.by_value() or sums) if _summed(graph, conv) in divided else sums


def _multiplied(graph, name):
    """What multiplies by a tensor, which copies may have laid over another one before."""
    for user in graph.users(name):
        yield from [user] if user.multiplies else _multiplied(graph, user.name)


def _summed(graph, conv):
    """The tensor of whose squares, or sizes, a fixed layer gives sums; None: there is none."""
    node = graph[conv.inputs[0]]
    function = node.unfused()[-1].as_function
    if len(conv.inputs) > 1 or not node.inputs:
        return None
    if function is None:
        # Rows of a map that were summed before.
        return _summed(graph, node) if node.adds(node.inputs[0]) else None
    return node.inputs[0] if _is_size(function) else None


def _is_size(function: Elementwise) -> bool:
    """Whether a function is 0 of 0 alone, and of anything else more."""
    if function.channels is not None:
        return False
    x = torch.tensor([0.0, -2.0, -0.25, 0.25, 2.0], dtype=torch.float64)
    nothing, *others = function(x[None, None, None]).flatten().tolist()
    return nothing == 0 and min(others) > 0
