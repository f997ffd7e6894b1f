"""What a float network makes of noise in its layers, whatever rounds them."""

import torch
from torch import Tensor

from qnn.frontend.fuse import fuse
from qnn.frontend.graph import FloatGraph
from qnn.frontend.run import blocks_of
from qnn.tasks.measures import signal_to_noise

DECIBELS = 60.0  # of each layer's results above its noise
SEED = 0


@torch.no_grad()
def noise_left(graph: FloatGraph, images: tuple[Tensor, ...]) -> float | None:
    """The least signal to noise of the outputs, in dB, with normal noise in each layer's results.

    Its deviation is 60 dB below theirs. A network of n layers that makes no
    more of noise than of signals keeps 60 - 10 log10(n) dB.
    """
    graph = fuse(graph)
    wanted, got = (_outputs(graph, images, share) for share in (0.0, 10 ** (-DECIBELS / 20)))
    found = [signal_to_noise(w.numpy(), g.numpy()) for w, g in zip(wanted, got, strict=True)]
    known = [value for value in found if value is not None]
    return round(min(known), 2) if known else None


def _outputs(graph, images, share):
    generator = torch.Generator().manual_seed(SEED)
    names = [source.name for source in graph.inputs]
    values = dict(zip(names, blocks_of(graph, images), strict=True))
    for node in graph.nodes[len(names) :]:
        value = node.evaluate(*(values[name] for name in node.inputs))
        # What only moves values about rounds none of them.
        if not node.shares_type and share:
            noise = torch.randn(value.shape, generator=generator)
            value = value + noise * (share * value.std(correction=0))
        values[node.name] = value
    return [values[output.name] for output in graph.outputs]
