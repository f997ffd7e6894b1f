"""A clamp joins the convolution or the product that only it reads."""

from dataclasses import replace

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.clamp import Clamp
from qnn.frontend.rewrite import Rewrite


def fuse_clamps(graph: FloatGraph) -> FloatGraph:
    """Let convolutions and products clamp; one that clamps already does both."""
    rewrite = Rewrite(graph)
    for clamp in rewrite.each(Clamp):
        source = rewrite[clamp.inputs[0]]
        if source.takes_clamp and rewrite.uses(source.name) == 1:
            rewrite.exchange(source.name, _both(source, clamp))
            rewrite.exchange(clamp.name)
            rewrite.redirect(clamp.name, source.name)
    return rewrite.graph()


def _both(source, clamp):
    """The clamp applied to what the operator's own clamp gives."""

    def within(bound):
        bound = bound if clamp.low is None else max(bound, clamp.low)
        return bound if clamp.high is None else min(bound, clamp.high)

    # A clamp of a clamp is one: the inner bounds, as far as the outer ones let them.
    low = clamp.low if source.low is None else within(source.low)
    high = clamp.high if source.high is None else within(source.high)
    return replace(source, low=low, high=high)
