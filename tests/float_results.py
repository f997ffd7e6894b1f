"""What a float graph gives the user, as the model gives it: the network's part and the host's."""

import torch
from torch import Tensor

from qnn.frontend.graph import FloatGraph
from qnn.frontend.run import unfinished
from qnn.ir.shape import ends, order_of

FUNCTIONS = {
    "softmax": torch.softmax,
    "log_softmax": torch.log_softmax,
    "argmax": torch.argmax,
    "argmax_keepdim": lambda scores, along: scores.argmax(along, keepdim=True),
}


def float_results(graph: FloatGraph, *images: Tensor) -> tuple[Tensor, ...]:
    """One tensor for each that the model gives, (images, ...), by PyTorch's own functions."""
    axes = ends([output.axes for output in graph.outputs])
    return tuple(map(_finished, unfinished(graph, *images), axes))


def _finished(scores, axes):
    order = order_of(axes)
    if order is None or order.function is None:
        return scores
    return FUNCTIONS[order.function](scores, 1 + order.along)
