"""A quantized model with the numbers of a fused float graph, each weight at its nearest code."""

from collections.abc import Mapping

import torch
from torch import nn

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.conv import FloatConv
from qnn.frontend.ops.operator import sum_of
from qnn.nn.fit_pixels import fit
from qnn.nn.layers import QuantConv
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
    types : of every tensor, by name, and of the index of each table

    Raises
    ------
    ModelError
        The sums of a layer do not fit.
    """
    quantized = QuantizedModel(plan).eval()
    for layer in plan.layers:
        _fill_exponents(quantized.layer(layer.name), types)
    for source in quantized.inputs:
        if source.table is not None:
            source.table.copy_(_codes(source))
    for node in graph.convs:
        conv = quantized.layer(node.name)
        # Weights before their exponents, which are searched for them.
        _fill_weights(conv, node)
        set_exponents(conv)
    return quantized


def _codes(source):
    """The integer of each 8-bit pixel, (channels, 256)."""
    plan = source.plan
    if plan.gain is not None:
        return fit(plan.pixels, plan.bits).codes
    return activation.encode(plan.pixels.values(), source.type)


def _fill_exponents(layer: nn.Module, types: Mapping[str, QType]) -> None:
    # Those of operands come from the types too, not from earlier layers.
    if layer.plan.selects:
        return
    for name, exponent in zip(layer.plan.inputs, layer.operand_exponents, strict=True):
        exponent.fill_(types[name].exponent)
    layer.exponent.fill_(types[layer.plan.name].exponent)
    index = types.get(sum_of(layer.plan.name))
    if index is not None:
        layer.lookup.fill(index.exponent, layer.type)


def _fill_weights(conv: QuantConv, node: FloatConv) -> None:
    # Folded with nothing: the layer keeps BatchNorm apart, so that training can move both.
    conv.weight.copy_(node.weight)
    if node.bias is not None:
        conv.bias.copy_(node.bias)
    if node.batchnorm is not None:
        for name in ("gamma", "beta", "mean", "var"):
            getattr(conv, name).copy_(getattr(node.batchnorm, name))
