"""A quantized network beside its float graph, layer by layer, so that layers can be changed."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from qnn.frontend.graph import FloatGraph
from qnn.frontend.run import stream
from qnn.nn.exact import exact
from qnn.nn.model import QuantizedModel
from qnn.ptq.chunks import images_at_a_time


def beside_float(
    quantized: QuantizedModel, graph: FloatGraph, images: tuple[Tensor, ...]
) -> Iterator[tuple[str, Mapping[str, Tensor], Mapping[str, Tensor]]]:
    """Each layer's name before it computes, with its operands: their integers, and the float ones.

    Whoever takes them may change the layer, and the layers behind see what it then gives. A tensor
    is forgotten after its last reader.

    Parameters
    ----------
    graph : that ``quantized`` was made of; its nodes are the layers, in order
    images : (count, channels, height, width) of each input, what the float model takes
    """
    size = images_at_a_time(images)
    given = dict(zip((source.name for source in graph.inputs), images, strict=True))
    last = {name: node.name for node in graph.nodes for name in node.inputs}
    reals: dict[str, Tensor] = {}
    values: dict[str, Tensor] = {}
    for name, real in stream(graph, *images):
        module = quantized.layer(name)
        yield name, values, reals
        inputs = module.plan.inputs
        reals[name] = real
        operands = [values[operand] for operand in inputs] or [given[name]]
        # In parts, as what a layer computes on the way to its result is several times as large.
        parts = zip(*(operand.split(size) for operand in operands), strict=True)
        with exact():
            values[name] = torch.cat([module(*part) for part in parts])
        for operand in {operand for operand in inputs if last[operand] == name}:
            del reals[operand], values[operand]
