"""Inputs of pixels get a gain, with which their integers tell all pixels apart."""

from dataclasses import replace

import torch

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.concat import FloatConcat
from qnn.frontend.ops.conv import FloatConv
from qnn.frontend.ops.input import FloatInput
from qnn.frontend.ops.operator import FloatOperator
from qnn.nn.fit_pixels import fit
from qnn.nn.preprocess import Pixels
from qnn.quant.qtype import QType

Gain = tuple[float, ...]  # of each channel of a tensor


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
        absorbed = _absorbed(graph, source, found.gain)
        if absorbed is not None:
            graph, types[source.name] = absorbed, found.type
    return graph, types


def _absorbed(graph, source, gain) -> FloatGraph | None:
    """The graph with ``gain`` at an input and out of all weights; None where it cannot be."""
    gains: dict[str, Gain] = {source.name: gain}
    nodes: list[FloatOperator] = []
    for node in graph.nodes:
        given = [gains.get(name) for name in node.inputs]
        if isinstance(node, FloatInput):
            node = replace(node, gain=gain) if node.name == source.name else node
        elif isinstance(node, FloatConv) and node.learned and any(given[:1]) and not any(given[1:]):
            node = _without(node, given[0])
        elif any(given):
            moved = _moved(node, given)
            if moved is None:
                return None
            gains[node.name] = moved
        nodes.append(node)
    if any(graph.is_output(name) for name in gains):
        return None
    return replace(graph, nodes=tuple(nodes))


def _without(conv, gain):
    """The convolution of an operand that has a gain."""
    weight = conv.weight.double() / _read(conv, gain)
    return replace(conv, weight=weight.to(conv.weight.dtype))


def _read(conv, gain):
    """The gain of what each weight is multiplied by, (outputs, inputs / groups, 1, 1) float64."""
    outputs, each = conv.weight.shape[:2]
    group = torch.arange(outputs) // (outputs // conv.window.groups)
    channels = group[:, None] * each + torch.arange(each)
    return torch.tensor(gain, dtype=torch.float64)[channels][:, :, None, None]


def _moved(node, given) -> Gain | None:
    """The gain of a result whose values are operands' values; None where they are not."""
    if not node.shares_type or not all(given):
        return None
    if isinstance(node, FloatConcat):
        return tuple(value for gain in given for value in gain)
    if any(gain != given[0] for gain in given):
        return None
    if isinstance(node, FloatConv):
        chosen = (node.weight.double() * _read(node, given[0])).amax((1, 2, 3))
        # Of a channel of zeros it is no matter.
        return tuple(torch.where(chosen > 0, chosen, 1.0).tolist())
    return given[0]
