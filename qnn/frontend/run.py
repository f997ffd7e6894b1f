"""Evaluation of a float graph: every tensor, for calibration and to test the fusion passes."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.input import FloatInput
from qnn.host.results import host_scores
from qnn.ir.shape import from_blocks, laid_out, to_blocks, user_shape, usual_axes


def blocks_of(graph: FloatGraph, images: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Blocks (batch, channels, height, width) of what the user gives each input, of its axes."""
    axes = map(_axes, graph.inputs)
    return tuple(to_blocks(x, each) for x, each in zip(images, axes, strict=True))


def given_of(graph: FloatGraph, blocks: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """What the user gives each input, of its blocks."""
    return tuple(from_blocks(x, _axes(s)) for x, s in zip(blocks, graph.inputs, strict=True))


def _axes(source):
    return source.axes or usual_axes(source.shape)


def shape_of(source: FloatInput) -> tuple[int, ...]:
    """The shape of what the user gives an input, without its batch."""
    return user_shape(source.shape, source.axes) if source.axes else source.shape


def unfinished_of(graph: FloatGraph, values: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    """The scores of what the user gets, of ``values`` with those of all outputs.

    Such are what an argmax chooses among; what the host computes before is in PyTorch's floats.
    """
    parts = [laid_out(values[each.name], each.axes, each.shape) for each in graph.outputs]
    return host_scores(parts, [each.axes for each in graph.outputs], graph.host, torch)


def unfinished(graph: FloatGraph, *images: Tensor) -> tuple[Tensor, ...]:
    """``unfinished_of`` the values that ``images`` give."""
    names = [output.name for output in graph.outputs]
    # Nothing else of all tensors is kept.
    return unfinished_of(graph, {n: value for n, value in stream(graph, *images) if n in names})


def stream(graph: FloatGraph, *images: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Each tensor's name and value, in order; a value is forgotten after its last reader.

    ``images`` has one tensor for each of the graph's inputs, of its axes or (batch, channels,
    height, width).
    """
    given = zip(graph.inputs, blocks_of(graph, images), strict=True)
    values = {source.name: source.scaled(x) for source, x in given}
    last = {name: node.name for node in graph.nodes for name in node.inputs}
    for node in graph.nodes:
        if node.name not in values:
            values[node.name] = node.evaluate(*(values[name] for name in node.inputs))
        yield node.name, values[node.name]
        for name in {n for n in node.inputs if last[n] == node.name}:
            del values[name]


def run(graph: FloatGraph, *images: Tensor) -> dict[str, Tensor]:
    """Every tensor of the network, by name; ``images`` as for ``stream``."""
    return dict(stream(graph, *images))
