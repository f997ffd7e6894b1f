"""What must hold between the layers of a quantized network, whose numbers come from a file."""

import numpy as np
import torch
from torch import Tensor

from qnn.errors import CompileError, ModelError
from qnn.ir.check import check
from qnn.ir.epilogue import Epilogue
from qnn.ir.graph import Graph
from qnn.ir.ops import Concat, Conv, Input, Interleave, MaxPool, Multiply, Operator
from qnn.nn.layer_plans import (
    ConcatPlan,
    ConvPlan,
    InputPlan,
    InterleavePlan,
    MaxPoolPlan,
    MultiplyPlan,
)
from qnn.nn.model import QuantizedModel

# Of every scale: values of float32 reach from 2**-149 to 2**128.
MOST_EXPONENT = 160


def check_consistent(quantized: QuantizedModel) -> None:
    """Return if the network's layers fit each other: shapes, windows, types, exponents, numbers.

    Raises
    ------
    ModelError
        They do not; the text names the layer.
    """
    for name, tensor in quantized.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ModelError(f"'{name}' needs finite numbers, but has others")
        if "exponent" in name and int(tensor.abs().max()) > MOST_EXPONENT:
            most = f"{-MOST_EXPONENT} to {MOST_EXPONENT}"
            raise ModelError(f"'{name}' needs exponents from {most}, but has others")
    for plan in quantized.plan.convs:
        _check_numbers(quantized.layer(plan.name))
    for plan in quantized.plan.layers:
        # Of convolutions and products alike: both may end in a function.
        _check_table(quantized.layer(plan.name))
    try:
        check(_outline(quantized))
    except CompileError as error:
        raise ModelError(str(error)) from None
    # Types are known to be some only now that each operand is known to be there.
    for plan in quantized.plan.layers:
        exponents = () if plan.selects else quantized.layer(plan.name).operand_exponents
        for operand, exponent in zip(plan.inputs, exponents, strict=False):
            wanted = quantized.type(operand).exponent
            if int(exponent) != wanted:
                raise ModelError(
                    f"layer '{plan.name}' needs the exponent {wanted} of its operand '{operand}', "
                    f"but has {int(exponent)}"
                )


def _check_numbers(layer):
    plan = layer.plan
    if plan.eps is not None and not bool((layer.var.double() + plan.eps > 0).all()):
        raise ModelError(f"layer '{plan.name}' needs variances above 0, but has others")
    channels = plan.channel_terms
    if channels is not None and (len(channels) != plan.shape[0] or max(channels) != plan.terms):
        raise ModelError(
            f"layer '{plan.name}' needs terms of its {plan.shape[0]} channels, the most of them "
            f"{plan.terms}, but has {channels}"
        )


def _check_table(layer):
    lookup = getattr(layer, "lookup", None)
    if lookup is not None and not lookup.is_filled(layer.type):
        raise ModelError(
            f"layer '{layer.plan.name}' needs the table of {lookup.function}, but has another"
        )


def _outline(quantized) -> Graph:
    """The graph of the network with zeros for its weights, to be checked as any other is."""
    nodes = tuple(_node(quantized, quantized.layer(plan.name)) for plan in quantized.plan.layers)
    return Graph(nodes, quantized.plan.network_outputs, quantized.plan.host)


def _table(layer):
    """The table of a layer's function and the bounds of its index, as the epilogue has them."""
    if layer.lookup is None:
        return {}
    index, table = layer.lookup.index, layer.lookup.table
    return {"low": index.low, "high": index.high, "table": table.numpy().astype(np.int64)}


def _node(quantized, layer) -> Operator:
    plan = layer.plan
    common = {"name": plan.name, "shape": plan.shape, "type": quantized.type(plan.name)}
    return _NODES[type(plan)](layer, common)


def _input(layer, common):
    table = None if layer.table is None else layer.table.numpy().astype(np.int64)
    return Input(**common, table=table)


def _max_pool(layer, common):
    return MaxPool(**common, inputs=layer.plan.inputs, window=layer.plan.window)


def _concat(layer, common):
    return Concat(**common, inputs=layer.plan.inputs)


def _interleave(layer, common):
    plan = layer.plan
    return Interleave(**common, inputs=plan.inputs, step=plan.step, offsets=plan.offsets)


def _conv(layer, common):
    plan = layer.plan
    zeros = np.zeros(plan.weight_shape[0], np.int64)
    epilogue = Epilogue(
        left=zeros,
        bias=zeros,
        right=zeros,
        skip_left=zeros if len(plan.inputs) == 2 else None,
        rounded=plan.rounded,
        **_table(layer),
    )
    return Conv(
        **common,
        inputs=plan.inputs,
        window=plan.window,
        # One zero, seen everywhere: as many numbers as the weights would be of no use.
        codes=np.broadcast_to(np.int8(0), (plan.terms, *plan.weight_shape)),
        weight_bits=plan.weight_bits,
        epilogue=epilogue,
    )


def _multiply(layer, common):
    return Multiply(
        **common,
        inputs=layer.plan.inputs,
        epilogue=layer.epilogue().map(Tensor.numpy, Tensor.numpy),
    )


_NODES = {
    InputPlan: _input,
    ConvPlan: _conv,
    MultiplyPlan: _multiply,
    MaxPoolPlan: _max_pool,
    ConcatPlan: _concat,
    InterleavePlan: _interleave,
}
