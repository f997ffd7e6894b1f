"""Channels of a tensor are scaled by powers of two, which change no float value.

What reads a tensor has one exponent for all weights of an output channel, and a grid that is coarse
next to zero: input channels whose weights are small beside the others' would be rounded away. Where
what computes a channel has weights that were learnt, or a factor that reaches such weights, the
channel is multiplied by a power of two there and divided by it here, until the weights that read it
are about as large as those that read the others. Networks that differ by such factors alone become
one network.

Source
------
Nagel et al., arXiv:1906.04721, section 4.1: equalised here are the weights that read a tensor, as
those that compute it have exponents of their own; by powers of two; over residual sums, poolings
and concatenations too.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from qnn.frontend.graph import FloatGraph
from qnn.frontend.run import stream
from qnn.ptq.ties import Ties, read_channels, scaled

MOST = 24  # of a factor's exponent: float32 weights keep their bits


@torch.no_grad()
def equalise(graph: FloatGraph, batches: Iterable[tuple[Tensor, ...]]) -> FloatGraph:
    """The fused ``graph`` with channels that are read by weights of one size, where it can choose.

    Parameters
    ----------
    batches : one tensor (batch, channels, height, width) for each input of the graph
    """
    ties = Ties(graph)
    squares, counts = (ties.summed(each) for each in _readers(graph, _powers(graph, batches)))
    norm = (squares / counts.clamp(min=1)).sqrt()
    factors = torch.exp2(norm.clamp(2.0**-MOST, 2.0**MOST).log2().round())
    factors = torch.where(norm == 0, 1.0, factors)
    factors[0] = 1.0
    return scaled(graph, {node.name: factors[ties.of(node.name)] for node in graph.nodes})


def _powers(graph: FloatGraph, batches: Iterable[tuple[Tensor, ...]]) -> dict[str, Tensor]:
    """The mean square of each channel, (channels,) by tensor, but for one factor of all."""
    found: dict[str, Tensor] = {}
    for batch in batches:
        for name, value in stream(graph, *batch):
            power = value.double().square().mean((2, 3)).sum(0)
            found[name] = found[name] + power if name in found else power
    return found


def _readers(graph, powers) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Squares of the weights that read each channel, summed, and how many rows read it.

    They are squares in units of what a row's sum holds: no factor of a row's result, or of what it
    reads, changes that.
    """
    squares = {node.name: torch.zeros(node.shape[0]).double() for node in graph.nodes}
    counts = {name: torch.zeros_like(zeros) for name, zeros in squares.items()}
    for node in graph.convs:
        if node.fixed:
            continue
        source, read = node.inputs[0], read_channels(node)
        square = node.weight.double().square().sum((2, 3))
        held = (square * powers[source][read]).sum(1, keepdim=True)
        share = torch.where(held > 0, square / held, 0.0)
        squares[source].index_add_(0, read.flatten(), share.flatten())
        counts[source].index_add_(0, read.flatten(), (held > 0).expand_as(share).flatten().double())
    return squares, counts
