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
from dataclasses import replace

import torch
from torch import Tensor

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.conv import FloatConv
from qnn.frontend.ops.operator import FloatOperator
from qnn.frontend.run import stream

MOST = 24  # of a factor's exponent: float32 weights keep their bits


@torch.no_grad()
def equalise(graph: FloatGraph, batches: Iterable[tuple[Tensor, ...]]) -> FloatGraph:
    """The fused ``graph`` with channels that are read by weights of one size, where it can choose.

    Parameters
    ----------
    batches : one tensor (batch, channels, height, width) for each input of the graph
    """
    exponents = _Ties(graph).exponents(*_readers(graph, _powers(graph, batches)))
    return replace(graph, nodes=tuple(_scaled(node, exponents) for node in graph.nodes))


def _powers(graph, batches) -> dict[str, Tensor]:
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
        source, read = node.inputs[0], _read_channels(node)
        square = node.weight.double().square().sum((2, 3))
        held = (square * powers[source][read]).sum(1, keepdim=True)
        share = torch.where(held > 0, square / held, 0.0)
        squares[source].index_add_(0, read.flatten(), share.flatten())
        counts[source].index_add_(0, read.flatten(), (held > 0).expand_as(share).flatten().double())
    return squares, counts


class _Ties:
    """Channels of all tensors, of which those that must have one factor are tied together.

    A channel of a tensor is a number: the tensor's first one and its own. Number 0 stands for all
    that keep a factor of 1.
    """

    def __init__(self, graph: FloatGraph):
        self._graph, self._first, count = graph, {}, 1
        self._convs = {conv.name for conv in graph.convs}
        for node in graph.nodes:
            self._first[node.name] = count
            count += node.shape[0]
        self._parent = list(range(count))
        for node in graph.nodes:
            self._tie(node)
            if graph.is_output(node.name):
                self._keep(node.name)

    def exponents(self, squares: dict[str, Tensor], counts: dict[str, Tensor]) -> dict[str, Tensor]:
        """Of each channel's factor, (channels,) int64 by tensor."""
        roots = torch.tensor([self._root(number) for number in range(len(self._parent))])
        whole, count = (self._over_ties(roots, each) for each in (squares, counts))
        norm = (whole / count.clamp(min=1)).sqrt()
        kept = (roots == self._root(0)) | (norm == 0)
        exponent = torch.where(kept, 0, norm.clamp(2.0**-MOST, 2.0**MOST).log2().round())
        exponent = exponent.to(torch.int64)
        return {
            name: exponent[first : first + self._graph[name].shape[0]]
            for name, first in self._first.items()
        }

    def _over_ties(self, roots, values):
        whole = torch.cat([torch.zeros(1).double(), *values.values()])
        return torch.zeros_like(whole).index_add_(0, roots, whole)[roots]

    def _tie(self, node: FloatOperator) -> None:
        if node.name in self._convs:
            self._tie_conv(node)
        elif node.joins:
            place = 0
            for name in node.inputs:
                for channel in range(self._graph[name].shape[0]):
                    self._join((node.name, place + channel), (name, channel))
                place += self._graph[name].shape[0]
        elif node.inputs and node.shares_type:
            # Poolings and interleaves move values within their channels.
            for name in node.inputs:
                self._tie_all(node.name, name)
        else:
            # Inputs are what the user gives, and of a product the factors would multiply.
            for name in (node.name, *node.inputs):
                self._keep(name)

    def _tie_conv(self, node):
        # A table and a bound are of one scale; zero is of any.
        if node.function is not None or node.high is not None or node.low not in (None, 0.0):
            self._keep(node.name)
        for name in node.inputs[1:]:
            self._tie_all(node.name, name)
        if node.fixed:
            read = _read_channels(node)
            used = (node.weight != 0).any(3).any(2)
            for output, place in used.nonzero().tolist():
                self._join((node.name, output), (node.inputs[0], int(read[output, place])))
            if node.bias is not None or node.batchnorm is not None:
                self._keep(node.name)

    def _tie_all(self, name, other):
        for channel in range(self._graph[name].shape[0]):
            self._join((name, channel), (other, channel))

    def _keep(self, name):
        for channel in range(self._graph[name].shape[0]):
            self._unite(0, self._first[name] + channel)

    def _join(self, one, other):
        self._unite(*(self._first[name] + channel for name, channel in (one, other)))

    def _unite(self, one, other):
        one, other = sorted((self._root(one), self._root(other)))
        self._parent[other] = one

    def _root(self, number):
        while self._parent[number] != number:
            self._parent[number] = self._parent[self._parent[number]]
            number = self._parent[number]
        return number


def _read_channels(node: FloatConv) -> Tensor:
    """The operand's channel that each weight reads, (outputs, inputs / groups) int64."""
    outputs, each = node.weight.shape[:2]
    group = torch.arange(outputs) // (outputs // node.window.groups)
    return group[:, None] * each + torch.arange(each)


def _scaled(node: FloatOperator, exponents: dict[str, Tensor]) -> FloatOperator:
    """The operator over operands with their factors, giving a result with its own."""
    if not node.learned:
        return node
    read, own = (torch.exp2(exponents[name].double()) for name in (node.inputs[0], node.name))
    weight = node.weight / read[_read_channels(node)][:, :, None, None]
    if node.batchnorm is not None:
        held = node.batchnorm
        scaled = replace(held, gamma=(held.gamma * own).float(), beta=(held.beta * own).float())
        return replace(node, weight=weight.float(), batchnorm=scaled)
    bias = None if node.bias is None else (node.bias * own).float()
    return replace(node, weight=(weight * own[:, None, None, None]).float(), bias=bias)
