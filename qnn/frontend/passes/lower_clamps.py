"""A clamp that no convolution took becomes a copy that clamps."""

from dataclasses import replace

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.clamp import Clamp
from qnn.frontend.ops.conv import identity
from qnn.frontend.rewrite import Rewrite


def lower_clamps(graph: FloatGraph) -> FloatGraph:
    """Exchange each clamp for such a copy."""
    rewrite = Rewrite(graph)
    for clamp in rewrite.each(Clamp):
        copy = identity(clamp.name, rewrite[clamp.inputs[0]])
        rewrite.exchange(clamp.name, replace(copy, low=clamp.low, high=clamp.high))
    return rewrite.graph()
