"""Inputs of pixels get a gain, with which their integers tell all pixels apart."""

from dataclasses import replace

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.operator import FloatOperator, Gain
from qnn.nn.fit_pixels import fit
from qnn.nn.preprocess import Pixels
from qnn.quant.qtype import QType


def spread_pixels(
    graph: FloatGraph, pixels: tuple[Pixels | None, ...], bits: int
) -> tuple[FloatGraph, dict[str, QType]]:
    """The fused ``graph`` with gains, and the types of the inputs that have one.

    What the network computes stays the same: weights that read an input, or what only moves its
    values, are divided by the gain. An input whose values meet others before a weight does gets
    none.

    Parameters
    ----------
    pixels : what the pixels of each input stand for; None: it takes reals
    bits : of an input
    """
    types = {}
    for source, stands_for in zip(graph.inputs, pixels, strict=True):
        if stands_for is None:
            continue
        found = fit(stands_for, bits)
        spread = _spread(graph, source.name, found.gain)
        if spread is not None:
            graph, types[source.name] = spread, found.type
    return graph, types


def _spread(graph, name, gain) -> FloatGraph | None:
    """The graph with ``gain`` at an input and out of the weights; None where it cannot be."""
    gains: dict[str, Gain] = {name: gain}
    nodes: list[FloatOperator] = []
    for node in graph.nodes:
        given = tuple(gains.get(operand) for operand in node.inputs)
        if node.name == name:
            node = replace(node, gain=gain)
        elif any(given):
            rest = node.without_gain(given)
            moved = node.moved(given) if rest is None and all(given) else None
            if rest is None and moved is None:
                return None
            node, gains = (node, gains | {node.name: moved}) if rest is None else (rest, gains)
        nodes.append(node)
    return None if any(map(graph.is_output, gains)) else replace(graph, nodes=tuple(nodes))
