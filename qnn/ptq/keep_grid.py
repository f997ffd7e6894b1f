"""What a quantized file has on grids of powers of two stays there, integer for integer."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from qnn.frontend.graph import FloatGraph
from qnn.frontend.onnx.grids import FileGrid, GridType, grid_of
from qnn.frontend.ops.conv import FloatConv
from qnn.ir.ops.conv import MOST_TERMS
from qnn.nn.model import QuantizedModel
from qnn.nn.preprocess import Pixels
from qnn.ptq.formats import Choice, by_convolution
from qnn.ptq.plans import relative_error
from qnn.quant.qtype import QType

MOST_STEPS = 1 << 13  # of a weight on a grid: sums of 7 codes of 3 bits reach no further


@dataclass(frozen=True)
class KeptLayer:
    """What became of a layer of a file: of its weights, and of the type of its result."""

    name: str
    weights: bool
    result: bool


def keep_grid(
    graph: FloatGraph,
    grid: FileGrid,
    weight_bits: Choice,
    pixels: Sequence[Pixels | None],
) -> tuple[FloatGraph, dict[str, QType]]:
    """The fused graph with weights that stay as they are, and the types that do, by name.

    Weights are on a grid if sums of codes give each of them exactly. A result is if the clamp that
    its quantizer became is the range of one of the file's types.

    Parameters
    ----------
    pixels : of each input; those that have no type of the file get gains, which go into the weights
        that read them
    """
    bits = by_convolution("weight_bits", weight_bits, graph)
    learned = {node.name for node in graph.convs if not node.fixed}
    # What the file says of tensors counts, whatever the data would choose.
    types = {
        each.name: _qtype(grid.inputs[place])
        for place, each in enumerate(graph.inputs)
        if place in grid.inputs
    }
    gained = {
        source.name
        for source, each in zip(graph.inputs, pixels, strict=True)
        if each is not None and source.name not in types
    }
    # Through what only moves values, too.
    for node in graph.nodes:
        if node.name not in learned and not gained.isdisjoint(node.inputs):
            gained.add(node.name)
    nodes = tuple(
        _kept(node, bits[node.name])
        if node.name in learned and gained.isdisjoint(node.inputs)
        else node
        for node in graph.nodes
    )
    types |= {
        node.name: _qtype(found)
        for node in graph.nodes[len(graph.inputs) :]
        if (found := _type_of(node, grid.activations)) is not None
    }
    return replace(graph, nodes=nodes), types


def kept_in(model: nn.Module, graph: FloatGraph, types: Mapping[str, QType]) -> list[KeptLayer]:
    """What ``keep_grid`` keeps of the layers of the file that ``model`` was read from, in order."""
    return [
        KeptLayer(node.name, node.exact_terms is not None, node.name in types)
        for node in graph.convs
        if _is_of_file(model, node.name)
    ]


def kept_layers(model: nn.Module, quantized: QuantizedModel) -> list[KeptLayer]:
    """The same of what was made of them."""
    grid = grid_of(model)
    return [
        KeptLayer(each.name, each.fixed, _type_of(each, grid.activations) is not None)
        for each in quantized.plan.convs
        if _is_of_file(model, each.name)
    ]


def _is_of_file(model, name):
    # A file's layers are modules with weights; what copies and averages is not among them.
    return hasattr(getattr(model, name, None), "weight")


def _kept(node: FloatConv, bits: int) -> FloatConv:
    # A normalisation by powers of two leaves weights on their grid.
    weight, bias = _folded(node)
    terms = _exact_terms(weight, bits)
    if terms is None:
        return node
    return replace(
        node,
        weight=weight.float(),
        bias=bias.float() if bias.any() else None,
        batchnorm=None,
        scale=1.0,
        fixed=True,
        exact_terms=terms,
    )


def _folded(node):
    """Weights and biases with the normalisation in them, float64."""
    weight = node.weight.detach().double() * node.scale
    bias = torch.zeros(len(weight)).double() if node.bias is None else node.bias.detach().double()
    held = node.batchnorm
    if held is None:
        return weight, bias
    gain = held.gamma.double() / (held.var.double() + held.eps).sqrt()
    return weight * gain.reshape(-1, 1, 1, 1), (bias - held.mean.double()) * gain + held.beta


def _exact_terms(weight: Tensor, bits: int) -> int | None:
    """The fewest terms that give each weight exactly; None: none do."""
    # What is no whole number of steps of a power of two needs no search.
    rows = weight.reshape(len(weight), -1)
    peak = torch.frexp(rows.abs().amax(1, keepdim=True))[1]
    steps = torch.ldexp(rows, MOST_STEPS.bit_length() - 1 - peak)
    if bool((steps % 1 != 0).any()):
        return None
    terms = range(1, MOST_TERMS + 1)
    return next((k for k in terms if relative_error(weight, bits, k) == 0), None)


def _type_of(layer: object, types: Iterable[GridType]) -> GridType | None:
    """The type whose range a layer is clamped to, or the part of it from 0 on."""
    if getattr(layer, "function", None) is not None:
        return None
    # What quantizers became is all that is left of them.
    ends = getattr(layer, "low", None), getattr(layer, "high", None)
    for each in types:
        low, high = each.range
        if ends in ((low, high), (max(low, 0.0), high)):
            return each
    return None


def _qtype(type: GridType) -> QType:
    return QType(type.bits, type.signed, type.exponent, type.zero_point)
