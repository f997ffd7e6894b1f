"""A quantized model to the integer graph that computes the same."""

import numpy as np
import torch

from qnn.ir.graph import Graph, Output
from qnn.ir.ops import Concat, Conv, Input, MaxPool, Operator
from qnn.ir.window import Window
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


def _node(quantized: QuantizedModel, name: str) -> Operator:
    layer, type = quantized.layer(name), quantized.type(name)
    match layer:
        case QuantInput():
            table = None if layer.table is None else _array(layer.table).astype(np.int64)
            return Input(name=name, shape=layer.plan.shape, type=type, table=table)
        case QuantConv():
            return _conv(layer, type)
        case QuantMaxPool():
            plan = layer.plan
            window = Window(
                kernel=plan.kernel,
                stride=plan.stride,
                padding=plan.padding,
                dilation=plan.dilation,
            )
            return MaxPool(
                name=name, inputs=plan.inputs, shape=plan.shape, type=type, window=window
            )
    return Concat(name=name, inputs=layer.plan.inputs, shape=layer.plan.shape, type=type)


def _conv(layer: QuantConv, type: QType) -> Conv:
    plan = layer.plan
    return Conv(
        name=plan.name,
        inputs=plan.inputs,
        shape=plan.shape,
        type=type,
        window=Window(
            kernel=plan.weight_shape[2:],
            stride=plan.stride,
            padding=plan.padding,
            dilation=plan.dilation,
            groups=plan.groups,
        ),
        codes=_array(layer.indices()),
        weight_bits=plan.weight_bits,
        epilogue=layer.epilogue().map(_array),
    )


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.cpu().numpy()
