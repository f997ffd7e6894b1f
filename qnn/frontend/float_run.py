"""Evaluation of a float graph: every tensor, for calibration and to test the fusion passes."""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from qnn.frontend.float_graph import (
    Add,
    AveragePool,
    BatchNorm,
    Clamp,
    Concat,
    Conv,
    Flatten,
    Graph,
    MaxPool,
    Node,
    Pad,
    Slice,
    Statistics,
)
from qnn.ir.window import Padding


def stream(graph: Graph, x: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Each tensor's name and value, in order; a value is forgotten after its last reader.

    ``x`` has the shape (batch, channels, height, width).
    """
    values = {graph.nodes[0].name: x}
    last = {name: node.name for node in graph.nodes for name in node.inputs}
    yield graph.nodes[0].name, x
    for node in graph.nodes[1:]:
        values[node.name] = _RUN[type(node)](node, *(values[name] for name in node.inputs))
        yield node.name, values[node.name]
        for name in {n for n in node.inputs if last[n] == node.name}:
            del values[name]


def run(graph: Graph, x: Tensor) -> dict[str, Tensor]:
    """Every tensor of the network, by name."""
    return dict(stream(graph, x))


def _padded(x: Tensor, padding: Padding, value: float = 0.0) -> Tensor:
    top, bottom, left, right = padding
    return F.pad(x, (left, right, top, bottom), value=value)


def _normalised(x: Tensor, s: Statistics) -> Tensor:
    return F.batch_norm(x, s.mean, s.var, s.gamma, s.beta, eps=s.eps)


def _clamped(x: Tensor, low: float | None, high: float | None) -> Tensor:
    return x if low is None and high is None else x.clamp(low, high)


def _conv(node: Conv, x: Tensor, skip: Tensor | None = None) -> Tensor:
    y = F.conv2d(
        _padded(x, node.padding),
        node.weight * node.scale,
        node.bias,
        stride=node.stride,
        dilation=node.dilation,
        groups=node.groups,
    )
    y = y if node.batchnorm is None else _normalised(y, node.batchnorm)
    return _clamped(y if skip is None else y + skip, node.low, node.high)


def _max_pool(node: MaxPool, x: Tensor) -> Tensor:
    x = _padded(x, node.padding, float("-inf"))
    return F.max_pool2d(x, node.kernel, node.stride, dilation=node.dilation)


def _average_pool(node: AveragePool, x: Tensor) -> Tensor:
    x = _padded(x, node.padding)
    return F.avg_pool2d(x, node.kernel, node.stride, divisor_override=node.divisor)


def _pad(node: Pad, x: Tensor) -> Tensor:
    top, bottom, left, right = node.padding
    return F.pad(x, (left, right, top, bottom, *node.channels))


_RUN: dict[type[Node], Callable[..., Tensor]] = {
    Conv: _conv,
    BatchNorm: lambda node, x: _normalised(x, node.statistics),
    Clamp: lambda node, x: _clamped(x, node.low, node.high),
    MaxPool: _max_pool,
    AveragePool: _average_pool,
    Concat: lambda node, *operands: torch.cat(operands, 1),
    Add: lambda node, one, other: one + other,
    Pad: _pad,
    Slice: lambda node, x: x[:, :, :: node.stride[0], :: node.stride[1]],
    Flatten: lambda node, x: x.reshape(len(x), -1, 1, 1),
}
