"""A quantized model with the numbers of a fused float graph, each weight at its nearest code."""

from collections.abc import Mapping

import torch

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.conv import FloatConv
from qnn.nn.layers import QuantConv, QuantInput
from qnn.nn.model import QuantizedModel
from qnn.nn.plan import Plan
from qnn.nn.scales import set_exponents
from qnn.quant import activation
from qnn.quant.qtype import QType


@torch.no_grad()
def build(plan: Plan, graph: FloatGraph, types: Mapping[str, QType]) -> QuantizedModel:
    """The network of ``plan``, in evaluation mode: weights, statistics, exponents and tables.

    Parameters
    ----------
    graph : that ``plan`` was made of
    types : of every tensor, by name

    Raises
    ------
    ModelError
        The sums of a layer do not fit.
    """
    quantized = QuantizedModel(plan).eval()
    for source in quantized.inputs:
        _fill_input(source, types[source.plan.name])
    # In order: the exponents of operands come from the types, not from earlier layers.
    for node in graph.convs:
        conv = quantized.layer(node.name)
        # Weights before exponents, which are searched for them.
        _fill_weights(conv, node)
        conv.input_exponent.fill_(types[node.inputs[0]].exponent)
        if node.skip is not None:
            conv.skip_exponent.fill_(types[node.skip].exponent)
        conv.exponent.fill_(types[node.name].exponent)
        set_exponents(conv)
    return quantized


def _fill_input(source: QuantInput, type: QType) -> None:
    source.exponent.fill_(type.exponent)
    if source.table is not None:
        source.table.copy_(activation.encode(source.plan.pixels.values(), source.type))


def _fill_weights(conv: QuantConv, node: FloatConv) -> None:
    # Folded with nothing: the layer keeps BatchNorm apart, so that training can move both.
    conv.weight.copy_(node.weight)
    if node.bias is not None:
        conv.bias.copy_(node.bias)
    if node.batchnorm is not None:
        for name in ("gamma", "beta", "mean", "var"):
            getattr(conv, name).copy_(getattr(node.batchnorm, name))
