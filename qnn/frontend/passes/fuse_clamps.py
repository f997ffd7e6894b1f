"""A clamp joins the convolution that only it reads."""

from dataclasses import replace

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.clamp import Clamp
from qnn.frontend.ops.conv import FloatConv
from qnn.frontend.rewrite import Rewrite


def fuse_clamps(graph: FloatGraph) -> FloatGraph:
    """Let convolutions clamp; one that clamps already does both."""
    rewrite = Rewrite(graph)
    for clamp in rewrite.each(Clamp):
        source = rewrite[clamp.inputs[0]]
        if isinstance(source, FloatConv) and rewrite.uses(source.name) == 1:
            rewrite.exchange(source.name, _both(source, clamp))
            rewrite.exchange(clamp.name)
            rewrite.redirect(clamp.name, source.name)
    return rewrite.graph()


def _both(conv, clamp):
    """The clamp applied to what the convolution's own clamp gives."""

    def within(bound):
        bound = bound if clamp.low is None else max(bound, clamp.low)
        return bound if clamp.high is None else min(bound, clamp.high)

    # A clamp of a clamp is one: the inner bounds, as far as the outer ones let them.
    low = clamp.low if conv.low is None else within(conv.low)
    high = clamp.high if conv.high is None else within(conv.high)
    return replace(conv, low=low, high=high)
