"""A clamp or a function joins the operator that it alone reads, whose epilogue then applies it."""

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.clamp import Clamp
from qnn.frontend.ops.function import FloatFunction
from qnn.frontend.ops.quantizer import Quantizer
from qnn.frontend.rewrite import Rewrite


def fuse_activations(graph: FloatGraph) -> FloatGraph:
    """Let operators clamp and look functions up; one that does already does both."""
    rewrite = Rewrite(graph)
    for activation in rewrite.each(Clamp, FloatFunction, Quantizer):
        source = rewrite[activation.inputs[0]]
        # Another reader would get the activation too, which it does not ask for.
        fused = source.activated_by(activation) if rewrite.uses(source.name) == 1 else None
        if fused is not None:
            rewrite.exchange(source.name, fused)
            rewrite.exchange(activation.name)
            rewrite.redirect(activation.name, source.name)
    return rewrite.graph()
