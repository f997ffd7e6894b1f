"""A gather that no weights took becomes a convolution that copies."""

import torch

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.conv import FloatConv
from qnn.frontend.ops.gather import ChannelGather
from qnn.frontend.rewrite import Rewrite
from qnn.ir.window import Window


def lower_gathers(graph: FloatGraph) -> FloatGraph:
    """Exchange each gather for a convolution of kernel 1 with a single 1 in each row."""
    rewrite = Rewrite(graph)
    for gather in rewrite.each(ChannelGather):
        outputs, inputs = len(gather.channels), rewrite[gather.inputs[0]].shape[0]
        weight = torch.zeros(outputs, inputs, 1, 1)
        # Channels may repeat or be left out, so that this need not be a permutation.
        weight[torch.arange(outputs), list(gather.channels)] = 1
        copy = FloatConv(
            name=gather.name,
            inputs=gather.inputs,
            shape=gather.shape,
            window=Window(kernel=(1, 1)),
            weight=weight,
            fixed=True,
        )
        rewrite.exchange(gather.name, copy)
    return rewrite.graph()
