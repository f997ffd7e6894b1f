"""Channels are scaled by factors with which the weights around them lie nearer to their grids.

A grid of powers of two has few values, and how far a row of weights is from it depends on the size
of the row: one and a half times as large, each weight has other neighbours. What computes a channel
is free in that size where what reads the channel is divided by the factor. So each channel gets the
factor, of a period of the grid, by which the row that computes it and the weights that read it
lose least. Rows of few weights gain most, as those of depthwise convolutions have nine.

Source
------
The invariance is that of Nagel et al., arXiv:1906.04721, section 4.1; the choice of factors is
ours.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.conv import FloatConv
from qnn.frontend.run import stream
from qnn.ptq.ties import Ties, read_channels, scaled
from qnn.quant.pow2 import exp2, fraction_bits, nearest_sum

# With 16, networks of short rows lose more; the time is in proportion.
FACTORS = 32  # that are tried, of a period: from 2**-1/2 up to 2**1/2
# A channel's factor changes what the rows that read it are best at, which the second one sees.
SWEEPS = 2  # over all tensors
DEPTH = 3  # exponents that a row tries, from the one that clips nothing downwards


@torch.no_grad()
def align(
    graph: FloatGraph, batches: Iterable[tuple[Tensor, ...]], bits: Mapping[str, int]
) -> FloatGraph:
    """The fused ``graph`` with channels of such sizes that weights of one term lose least.

    Parameters
    ----------
    batches : one tensor (batch, channels, height, width) for each input of the graph
    bits : of the weights of each layer that learns
    """
    ties, variances = Ties(graph), _variances(graph, batches)
    layers = [
        _LayerRows.of(conv, bits[conv.name], ties, variances)
        for conv in graph.convs
        if not conv.fixed
    ]
    exponents = torch.zeros(ties.count, dtype=torch.float64)  # of the groups' factors
    tried = (torch.arange(FACTORS) - FACTORS // 2).double() / FACTORS
    for _ in range(SWEEPS):
        for groups in ties.by_tensor():
            loss = _losses(layers, exponents, groups, tried)
            # What is as good as it is stays, so that a channel without weights has no factor.
            better = loss.amin(0) < loss[FACTORS // 2]
            exponents[groups] += torch.where(better, tried[loss.argmin(0)], 0.0)[groups]
    factors = torch.exp2(exponents)
    return scaled(graph, {node.name: factors[ties.of(node.name)] for node in graph.nodes})


def _variances(graph, batches) -> dict[str, Tensor]:
    """The variance of each channel, (channels,) by tensor: biases take back what means lose."""
    sums, squares, count = {}, {}, {}
    for batch in batches:
        for name, value in stream(graph, *batch):
            value = value.double()
            sums[name] = sums.get(name, 0) + value.sum((0, 2, 3))
            squares[name] = squares.get(name, 0) + value.square().sum((0, 2, 3))
            count[name] = count.get(name, 0) + value[:, 0].numel()
    return {n: (squares[n] / count[n] - (sums[n] / count[n]).square()).clamp(min=0) for n in sums}


@dataclass(frozen=True, eq=False)
class _LayerRows:
    """Weights that learn, as they were.

    Members
    -------
    bits : of the weights
    magnitude : (rows, columns, kernel) float64, folded
    share : of what a row's sum holds, what each weight has; all rows together have 1
    own : (rows,) the group of each row's channel
    read : (rows, columns) the groups of what the weights read
    """

    bits: int
    magnitude: Tensor
    share: Tensor
    own: Tensor
    read: Tensor

    @staticmethod
    def of(node: FloatConv, bits: int, ties: Ties, variances: Mapping[str, Tensor]) -> "_LayerRows":
        weight = (node.weight.double() * node.scale).abs().flatten(2)
        read = read_channels(node)
        held = weight.square() * variances[node.inputs[0]][read][:, :, None]
        whole = held.sum((1, 2), keepdim=True)
        share = torch.where(whole > 0, held / whole, 0.0) / len(weight)
        if node.batchnorm is not None:
            weight = weight * node.batchnorm.factor.abs()[:, None, None]
        return _LayerRows(bits, weight, share, ties.of(node.name), ties.of(node.inputs[0])[read])

    def rows(self, chosen: Tensor, exponents: Tensor) -> tuple[Tensor, "_LayerRows"]:
        """The magnitudes of chosen rows, (chosen, columns, kernel), with factors of such exponents.

        Beside them are the rows as they were.
        """
        parts = (part[chosen] for part in (self.magnitude, self.share, self.own, self.read))
        rows = _LayerRows(self.bits, *parts)
        factors = torch.exp2(exponents[rows.own][:, None] - exponents[rows.read])
        return rows.magnitude * factors[:, :, None], rows


def _losses(layers: Sequence[_LayerRows], exponents, groups, tried: Tensor) -> Tensor:
    """What the weights lose that compute or read channels of ``groups``, with such steps more.

    Returns
    -------
    (tried, all groups) float64
    """
    loss = torch.zeros(len(tried), len(exponents), dtype=torch.float64)
    member = torch.zeros(len(exponents), dtype=torch.bool)
    member[groups] = True
    for layer in layers:
        writes = member[layer.own]
        if bool(writes.any()):
            size, rows = layer.rows(writes, exponents)
            for each, step in zip(loss, tried.tolist(), strict=True):
                each.index_add_(0, rows.own, _best(size * 2.0**step, rows)[0])
        used = member[layer.read].any(1)
        if bool(used.any()):
            size, rows = layer.rows(used, exponents)
            # The row keeps its exponent, which one column seldom decides.
            _, exponent = _best(size, rows)
            place = member[rows.read]
            kept = exponent[place.nonzero()[:, 0]][:, None]
            size, share, read = size[place], rows.share[place], rows.read[place]
            for each, step in zip(loss, tried.tolist(), strict=True):
                lost = share * _relative(size * 2.0**-step, kept, layer.bits)
                each.index_add_(0, read, lost.sum(1))
    return loss


def _best(size: Tensor, rows: _LayerRows) -> tuple[Tensor, Tensor]:
    """What each row loses by the exponent that is best for it, and that exponent."""
    flat, share = size.flatten(1), rows.share.flatten(1)
    # Exact where log2 is not: networks that differ by powers of two get the same factors. A row of
    # zeros has any.
    mantissa, top = torch.frexp(flat.amax(1))
    top = (top - (mantissa == 0.5).to(top.dtype)).to(torch.int64)
    tried = torch.stack([top - depth for depth in range(DEPTH)])
    lost = torch.stack([(share * _relative(flat, e[:, None], rows.bits)).sum(1) for e in tried])
    least = lost.argmin(0, keepdim=True)
    return lost.gather(0, least)[0], tried.gather(0, least)[0]


def _relative(size: Tensor, exponent: Tensor, bits: int) -> Tensor:
    """The squared error of each weight after rounding, relative to its square."""
    magnitude = size / exp2(exponent - fraction_bits(bits))
    error = (magnitude - nearest_sum(magnitude, bits, 1)) / magnitude
    return torch.where(magnitude > 0, error.square(), 0.0)
