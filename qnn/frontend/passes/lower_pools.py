"""Average pooling becomes a convolution of each channel with equal weights."""

from dataclasses import replace

import torch

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.average_pool import AveragePool
from qnn.frontend.ops.conv import identity
from qnn.frontend.rewrite import Rewrite


def lower_pools(graph: FloatGraph) -> FloatGraph:
    """Exchange each average pooling for a convolution of each channel with equal weights."""
    rewrite = Rewrite(graph)
    for pool in rewrite.each(AveragePool):
        channels = pool.shape[0]
        copy = identity(pool.name, rewrite[pool.inputs[0]])
        # One group for each channel, so that no zeros are stored between channels.
        weight = torch.full((channels, 1, *pool.window.kernel), 1 / pool.divisor)
        window = replace(pool.window, groups=channels)
        rewrite.exchange(pool.name, replace(copy, shape=pool.shape, weight=weight, window=window))
    return rewrite.graph()
