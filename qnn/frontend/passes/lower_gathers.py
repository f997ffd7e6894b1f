"""A gather that no weights took becomes a convolution that copies."""

import torch

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.conv import pointwise
from qnn.frontend.ops.gather import ChannelGather
from qnn.frontend.rewrite import Rewrite


def lower_gathers(graph: FloatGraph) -> FloatGraph:
    """Exchange each gather for a convolution of kernel 1 with a single 1 in each row."""
    rewrite = Rewrite(graph)
    for gather in rewrite.each(ChannelGather):
        source, outputs = rewrite[gather.inputs[0]], len(gather.channels)
        weight = torch.zeros(outputs, source.shape[0])
        # Channels may repeat or be left out, so that this need not be a permutation.
        weight[torch.arange(outputs), list(gather.channels)] = 1
        copy = pointwise(gather.name, source, weight, fixed=True)
        rewrite.exchange(gather.name, copy)
    return rewrite.graph()
