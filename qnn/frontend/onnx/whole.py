"""Which values of a file are whole numbers: those that it takes, and those that quantizers give.

Elsewhere a float network has the reals that a file's integers stand for. What a user gives is what
the file says, and what a file gives as integers has a scale.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from qnn.frontend.onnx.graph import OnnxGraph, OnnxNode

# Which give the values that they are given.
MOVES = ("Identity", "Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze")


def of_inputs(graph: OnnxGraph) -> set[str]:
    """The names of values that are the inputs', in whatever shape."""
    found = {each.name for each in graph.inputs}
    for node in graph.nodes:
        if _moves(node, found):
            found.add(node.outputs[0])
    return found


def scales_of(graph: OnnxGraph) -> Mapping[str, tuple[Tensor, Tensor]]:
    """Of outputs that are integers of a quantizer, by name: the scale and the zero point."""
    found: dict[str, tuple[Tensor, Tensor]] = {}
    for node in graph.nodes:
        numbers = [graph.constants.get(name) for name in node.inputs[1:]]
        if node.kind == "QuantizeLinear" and all(_is_number(each) for each in numbers):
            scale, zero = (*numbers, torch.zeros(()))[:2]
            found[node.outputs[0]] = scale.reshape(()), zero.reshape(())
        elif _moves(node, found):
            found[node.outputs[0]] = found[node.inputs[0]]
    return {name: found[name] for name in graph.outputs if name in found}


def _moves(node: OnnxNode, known: object) -> bool:
    return node.kind in MOVES and node.inputs[0] in known


def _is_number(constant: Tensor | None) -> bool:
    return constant is not None and constant.numel() == 1
