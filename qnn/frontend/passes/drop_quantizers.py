"""A network without the quantizers that it brings along: reals within the ranges of these."""

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.clamp import Clamp
from qnn.frontend.ops.function import FloatFunction
from qnn.frontend.ops.quantizer import Quantizer
from qnn.frontend.rewrite import Rewrite


def drop_quantizers(graph: FloatGraph) -> FloatGraph:
    """Exchange each quantizer for a clamp to its range; a sign stays a sign."""
    rewrite = Rewrite(graph)
    for node in rewrite.each(Quantizer):
        common = {"name": node.name, "inputs": node.inputs, "shape": node.shape}
        given = node.given
        if given.fault:
            rewrite.redirect(node.name, node.inputs[0])
            rewrite.exchange(node.name)
        elif given.rounding == "SIGN":
            rewrite.exchange(node.name, FloatFunction(**common, function=given.function))
        else:
            low, high = given.low * given.scale, given.high * given.scale
            rewrite.exchange(node.name, Clamp(**common, low=low, high=high))
    return rewrite.graph()
