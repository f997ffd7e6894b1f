"""Evaluation of a float graph: every tensor, for calibration and to test the fusion passes."""

from collections.abc import Iterator

from torch import Tensor

from qnn.frontend.graph import FloatGraph


def stream(graph: FloatGraph, *images: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Each tensor's name and value, in order; a value is forgotten after its last reader.

    ``images`` has one tensor (batch, channels, height, width) for each of the graph's inputs.
    """
    values = {source.name: x for source, x in zip(graph.inputs, images, strict=True)}
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
