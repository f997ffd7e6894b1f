"""A divisor that is no power of two moves into the weights of the one layer behind it.

Sums over a window are exact integers; a mean of nine, as weights of 1/9, would not be.
"""

from dataclasses import replace

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.average_pool import AveragePool
from qnn.frontend.rewrite import Rewrite


def move_divisors(graph: FloatGraph) -> FloatGraph:
    """Let a learned layer divide, where only what keeps a positive factor lies between."""
    rewrite = Rewrite(graph)
    for pool in rewrite.each(AveragePool):
        layer = _layer_behind(pool, rewrite)
        # A power of two is a shift, exact wherever it stands.
        if layer is not None and pool.divisor & (pool.divisor - 1):
            rewrite.exchange(pool.name, replace(pool, divisor=1))
            rewrite.exchange(layer.name, replace(layer, scale=layer.scale / pool.divisor))
    return rewrite.graph()


def _layer_behind(pool, rewrite):
    """The learned layer that alone reads ``pool``, through ReLUs and flattens; None if none."""
    last = pool
    while rewrite.uses(last.name) == 1 and rewrite.users(last.name):
        (last,) = rewrite.users(last.name)
        if last.learned:
            return last
        if not last.passes_factor:
            return None
    # An output of the network, or of several readers: there is no one layer to divide.
    return None
