"""A quantized model to the integer graph that computes the same."""

import numpy as np
import torch

from qnn.ir.graph import Graph
from qnn.ir.ops import Concat, Conv, Input, Interleave, MaxPool, Multiply, Operator
from qnn.nn.input_layer import QuantInput
from qnn.nn.layers import QuantConv
from qnn.nn.model import QuantizedModel
from qnn.nn.multiplying import QuantMultiply
from qnn.nn.selecting import QuantInterleave, QuantMaxPool
from qnn.quant.qtype import QType


@torch.no_grad()
def export(quantized: QuantizedModel) -> Graph:
    """The integer graph of ``quantized``; every tensor keeps its name and its values.

    Raises
    ------
    TypeError
        ``quantized`` is no quantized model.
    """
    if not isinstance(quantized, QuantizedModel):
        raise TypeError(
            f"export needs a quantized model, not {type(quantized).__name__}; give it what "
            f"qnn.quantize makes of a float one"
        )
    types = _types(quantized)
    nodes = tuple(_node(quantized.layer(name), type) for name, type in types.items())
    return Graph(nodes, quantized.plan.network_outputs, quantized.plan.host)


def _types(quantized: QuantizedModel) -> dict[str, QType]:
    """The type of every tensor, in order; what selects has that of its operands."""
    # Operands come first, so that their types are known here.
    types: dict[str, QType] = {}
    for plan in quantized.plan.layers:
        selected = plan.inputs[0] if plan.selects else None
        types[plan.name] = types[selected] if selected else quantized.layer(plan.name).type
    return types


def _node(layer: torch.nn.Module, type: QType) -> Operator:
    plan = layer.plan
    common = {"name": plan.name, "shape": plan.shape, "type": type}
    match layer:
        case QuantInput():
            # The file's type for tables; the model keeps int32, which is enough for a lookup.
            table = None if layer.table is None else _array(layer.table).astype(np.int64)
            return Input(**common, table=table, statistics=_statistics(plan), axes=plan.axes)
        case QuantConv():
            return Conv(
                **common,
                inputs=plan.inputs,
                window=plan.window,
                codes=_array(layer.indices()),
                weight_bits=plan.weight_bits,
                epilogue=layer.epilogue().map(_array, _array),
            )
        case QuantMultiply():
            return Multiply(
                **common, inputs=plan.inputs, epilogue=layer.epilogue().map(_array, _array)
            )
        case QuantMaxPool():
            return MaxPool(**common, inputs=plan.inputs, window=plan.window)
        case QuantInterleave():
            step, offsets = plan.step, plan.offsets
            return Interleave(**common, inputs=plan.inputs, step=step, offsets=offsets)
    return Concat(**common, inputs=plan.inputs)


def _statistics(plan):
    """Mean and std of each channel, where a gain has put the integers in other units."""
    if plan.gain is None:
        return None
    return tuple(zip(plan.pixels.mean, plan.pixels.std, strict=True))


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.cpu().numpy()
