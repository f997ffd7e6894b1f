"""An average of what a layer without a window gives is taken before that layer, where that is less.

Both are linear: means of products are products of means. A layer then computes fewer pixels.
"""

from dataclasses import replace
from math import ceil, prod

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.average_pool import AveragePool
from qnn.frontend.passes.split_pools import LANES, LEAST_STEPS
from qnn.frontend.rewrite import Rewrite


def hoist_pools(graph: FloatGraph) -> FloatGraph:
    """Exchange each average and the layer that it alone reads, where the two commute."""
    rewrite = Rewrite(graph)
    for pool in rewrite.each(AveragePool):
        layer = rewrite[pool.inputs[0]]
        if rewrite.uses(layer.name) > 1 or not _commutes(pool, layer):
            continue
        first = replace(pool, inputs=layer.inputs, shape=(_inputs(layer), *pool.shape[1:]))
        if _steps(first, layer, pool.shape) >= _steps(pool, layer, layer.shape):
            continue
        rewrite.redirect(pool.name, layer.name)
        rewrite.exchange(pool.name)
        second = replace(layer, inputs=(pool.name,), shape=pool.shape)
        rewrite.exchange(layer.name, first, second)
    return rewrite.graph()


def _commutes(pool, layer):
    if not layer.learned or not layer.pointwise:
        return False
    # A mean keeps what is added to each value; where it counts padding, less of that.
    mean = pool.divisor == prod(pool.window.kernel) and not any(pool.window.padding)
    adds = layer.bias is not None or layer.batchnorm is not None
    return layer.window.stride == (1, 1) and layer.takes_skip and (mean or not adds)


def _inputs(layer):
    return layer.weight.shape[1] * layer.window.groups


def _steps(pool, layer, pixels):
    """Steps of the reference array, but for a factor: the average's, and the layer's on a map."""
    outputs, inputs = (ceil(count / LANES) for count in (layer.shape[0], _inputs(layer)))
    # Of one pixel less than the results take to leave is no gain.
    each = outputs * max(inputs, LEAST_STEPS)
    averages = ceil(pool.shape[0] / LANES) * max(prod(pool.window.kernel), LEAST_STEPS)
    return each * prod(pixels[1:]) + averages * prod(pool.shape[1:])
