"""A quantized model to the integer graph that computes the same."""

import numpy as np
import torch

from qnn.ir.graph import Concat, Conv, Graph, Input, MaxPool, Node, Output
from qnn.nn.layers import QuantConv, QuantInput, QuantMaxPool
from qnn.nn.model import QuantizedModel
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
    nodes = tuple(_node(quantized, layer.name) for layer in quantized.plan.layers)
    outputs = tuple(Output(name, shape) for name, shape in quantized.plan.outputs)
    return Graph(nodes, outputs)


def _node(quantized: QuantizedModel, name: str) -> Node:
    layer, type = quantized.layer(name), quantized.type(name)
    match layer:
        case QuantInput():
            table = None if layer.table is None else _array(layer.table).astype(np.int64)
            return Input(name=name, shape=layer.plan.shape, type=type, table=table)
        case QuantConv():
            return _conv(layer, type)
        case QuantMaxPool():
            plan = layer.plan
            return MaxPool(
                name=name,
                input=plan.inputs[0],
                shape=plan.shape,
                type=type,
                kernel=plan.kernel,
                stride=plan.stride,
                padding=plan.padding,
                dilation=plan.dilation,
            )
    return Concat(name=name, inputs=layer.plan.inputs, shape=layer.plan.shape, type=type)


def _conv(layer: QuantConv, type: QType) -> Conv:
    plan, epilogue = layer.plan, layer.epilogue()
    low, high = layer.bounds() if plan.rounded else (0, 0)
    skip = plan.inputs[1] if len(plan.inputs) == 2 else None
    return Conv(
        name=plan.name,
        input=plan.inputs[0],
        shape=plan.shape,
        type=type,
        codes=_array(layer.indices()),
        weight_bits=plan.weight_bits,
        left=_array(epilogue.left),
        bias=_array(epilogue.bias),
        right=_array(epilogue.right),
        skip_left=None if skip is None else _array(epilogue.skip_left),
        skip=skip,
        stride=plan.stride,
        padding=plan.padding,
        dilation=plan.dilation,
        groups=plan.groups,
        rounded=plan.rounded,
        low=low,
        high=high,
    )


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.cpu().numpy()
