"""A clamp or a function that no operator took becomes a copy that applies it."""

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.clamp import Clamp
from qnn.frontend.ops.conv import identity
from qnn.frontend.ops.function import FloatFunction
from qnn.frontend.ops.quantizer import Quantizer
from qnn.frontend.rewrite import Rewrite


def lower_activations(graph: FloatGraph) -> FloatGraph:
    """Exchange each clamp, function and quantizer for such a copy."""
    rewrite = Rewrite(graph)
    for activation in rewrite.each(Clamp, FloatFunction, Quantizer):
        copy = identity(activation.name, rewrite[activation.inputs[0]])
        rewrite.exchange(activation.name, copy.activated_by(activation))
    return rewrite.graph()
