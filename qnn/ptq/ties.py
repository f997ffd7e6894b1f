"""Channels whose values may be multiplied by a factor, and what must have the same one.

But for float rounding, a factor of a channel changes no value that the user gets where the weights
that compute the channel were learnt, or reach such weights, and those that read it are divided by
it.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.conv import FloatConv
from qnn.frontend.ops.operator import FloatOperator


class Ties:
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

    @cached_property
    def groups(self) -> Tensor:
        """The group of each channel of all tensors, (channels,) int64; group 0 has no factor."""
        # Group 0 is the first, as the least number of a group is its root.
        roots = [self._root(number) for number in range(len(self._parent))]
        return torch.tensor(roots).unique(return_inverse=True)[1][1:]

    @property
    def count(self) -> int:
        """How many groups there are, with group 0."""
        return int(self.groups.max()) + 1

    def by_tensor(self) -> list[Tensor]:
        """The groups that have a factor, by the first tensor with channels of them."""
        seen, found = {0}, []
        for node in self._graph.nodes:
            new = [group for group in self.of(node.name).unique().tolist() if group not in seen]
            seen.update(new)
            if new:
                found.append(torch.tensor(new))
        return found

    def of(self, name: str) -> Tensor:
        """The groups of a tensor's channels, (channels,) int64."""
        first = self._first[name] - 1
        return self.groups[first : first + self._graph[name].shape[0]]

    def summed(self, values: Mapping[str, Tensor]) -> Tensor:
        """The sum over each group, (groups,) float64, of values of all tensors' channels."""
        whole = torch.zeros(self.count, dtype=torch.float64)
        for name, value in values.items():
            whole.index_add_(0, self.of(name), value.double())
        return whole

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
            read = read_channels(node)
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


def read_channels(node: FloatConv) -> Tensor:
    """The operand's channel that each weight reads, (outputs, inputs / groups) int64."""
    outputs, each = node.weight.shape[:2]
    group = torch.arange(outputs) // (outputs // node.window.groups)
    return group[:, None] * each + torch.arange(each)


def scaled(graph: FloatGraph, factors: Mapping[str, Tensor]) -> FloatGraph:
    """The graph with channels multiplied by factors, (channels,) float64 by tensor.

    It is the same one if all factors are 1.
    """
    if all(bool((each == 1).all()) for each in factors.values()):
        return graph
    return replace(graph, nodes=tuple(_scaled(node, factors) for node in graph.nodes))


def _scaled(node: FloatOperator, factors: Mapping[str, Tensor]) -> FloatOperator:
    """The operator over operands with their factors, giving a result with its own."""
    if not node.learned:
        return node
    read, own = factors[node.inputs[0]], factors[node.name]
    weight = node.weight / read[read_channels(node)][:, :, None, None]
    if node.batchnorm is not None:
        held = node.batchnorm
        scaled = replace(held, gamma=(held.gamma * own).float(), beta=(held.beta * own).float())
        return replace(node, weight=weight.float(), batchnorm=scaled)
    bias = None if node.bias is None else (node.bias * own).float()
    return replace(node, weight=(weight * own[:, None, None, None]).float(), bias=bias)
