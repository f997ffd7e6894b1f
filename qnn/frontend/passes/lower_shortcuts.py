"""Added zero channels, with a slice before them, become one convolution that copies."""

import torch

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.conv import FloatConv
from qnn.frontend.ops.pad import Pad
from qnn.frontend.ops.slice import Slice
from qnn.frontend.rewrite import Rewrite
from qnn.ir.window import Window


def lower_shortcuts(graph: FloatGraph) -> FloatGraph:
    """Exchange each such pad for a copy of some channels and nothing for the others."""
    rewrite = Rewrite(graph)
    for pad in rewrite.each(Pad):
        if not any(pad.channels):
            continue
        source, stride = rewrite[pad.inputs[0]], (1, 1)
        # With a border, the slice's rows would be counted from the padded image.
        every = isinstance(source, Slice) and source.size is None and not any(source.start)
        if every and not any(pad.padding) and rewrite.uses(source.name) == 1:
            rewrite.exchange(source.name)
            source, stride = rewrite[source.inputs[0]], source.stride
        copy = FloatConv(
            name=pad.name,
            inputs=(source.name,),
            shape=pad.shape,
            window=Window(kernel=(1, 1), stride=stride, padding=pad.padding),
            weight=_placed(source.shape[0], *pad.channels),
            fixed=True,
        )
        rewrite.exchange(pad.name, copy)
    return rewrite.graph()


def _placed(inputs, front, behind):
    """Weights (front + inputs + behind, inputs, 1, 1) that place the inputs among zeros."""
    # Dense, as groups cannot leave outputs without an input.
    weight = torch.zeros(front + inputs + behind, inputs, 1, 1)
    weight[front + torch.arange(inputs), torch.arange(inputs)] = 1
    return weight
