"""ONNX's products with matrices, normalisations and softmax in PyTorch's words."""

from collections.abc import Mapping
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

from qnn.frontend.onnx.call import OnnxCall, Reader


def gemm(call: OnnxCall) -> Tensor:
    """Gemm: a linear layer where its second matrix is a constant, else a product of two."""
    x, weight, bias = call[0], call[1], call.tensor(2)
    alpha, beta = call.attribute("alpha", 1.0), call.attribute("beta", 1.0)
    x = x.t() if call.attribute("transA", 0) else x
    # Rows of outputs, as PyTorch has them.
    weight = weight if call.attribute("transB", 0) else weight.t()
    weight = weight if alpha == 1 else weight * alpha
    if bias is not None:
        bias = bias if beta == 1 else bias * beta
        if bias.dim() == 1 and bias.shape[0] == weight.shape[0]:
            return F.linear(x, weight, bias)
        # A row for all images, or one number, is a bias too; anything else is added behind.
        if bias.numel() in (1, weight.shape[0]) and bias.shape[-1:] == bias.reshape(-1).shape:
            return F.linear(x, weight, bias.reshape(-1).expand(weight.shape[0]))
        return F.linear(x, weight) + bias
    return F.linear(x, weight)


def matmul(call: OnnxCall) -> Tensor:
    """MatMul."""
    x, other = call[0], call[1]
    # A constant matrix is a linear layer, whatever axes lie before the last.
    if call.constants[1] and other.dim() == 2 and not call.constants[0]:
        return F.linear(x, other.t())
    return torch.matmul(x, other)


def batch_norm(call: OnnxCall) -> Tensor:
    """BatchNormalization by the statistics of training."""
    x, weight, bias, mean, var = (call[n] for n in range(5))
    call.require(
        not call.attribute("training_mode", 0),
        "to normalise by statistics of training",
        "those of its batch",
        "export the model in evaluation mode",
    )
    return F.batch_norm(x, mean, var, weight, bias, False, 0.0, call.attribute("epsilon", 1e-5))


def instance_norm(call: OnnxCall) -> Tensor:
    """InstanceNormalization."""
    eps = call.attribute("epsilon", 1e-5)
    return F.instance_norm(call[0], weight=call[1], bias=call[2], eps=eps)


def layer_norm(call: OnnxCall) -> Tensor:
    """LayerNormalization over the axes from one on."""
    x, weight, bias = call[0], call.tensor(1), call.tensor(2)
    shape = x.shape[call.attribute("axis", -1) % x.dim() :]
    weight, bias = (each if each is None else each.expand(shape) for each in (weight, bias))
    return F.layer_norm(x, list(shape), weight, bias, call.attribute("epsilon", 1e-5))


def group_norm(call: OnnxCall) -> Tensor:
    """GroupNormalization, whose older version has a weight for each group."""
    x, weight, bias = call[0], call[1], call[2]
    groups, channels = call.attribute("num_groups"), x.shape[1]
    # Before opset 21.
    if weight.shape[0] != channels:
        weight, bias = (each.repeat_interleave(channels // groups) for each in (weight, bias))
    return F.group_norm(x, groups, weight, bias, call.attribute("epsilon", 1e-5))


def rms_norm(call: OnnxCall) -> Tensor:
    """RMSNormalization over the axes from one on."""
    x, shape = call[0], call[0].shape[call.attribute("axis", -1) % call[0].dim() :]
    return F.rms_norm(x, list(shape), call[1].expand(shape), call.attribute("epsilon", 1e-5))


def local_norm(call: OnnxCall) -> Tensor:
    """LRN."""
    alpha, beta = call.attribute("alpha", 1e-4), call.attribute("beta", 0.75)
    size = call.attribute("size")
    # PyTorch's even windows reach further to the front, and ONNX's to the back.
    call.require(size % 2 == 1, "an odd size", f"{size}", "train it with an odd one")
    return F.local_response_norm(call[0], size, alpha, beta, call.attribute("bias", 1.0))


def standardised(call: OnnxCall) -> Tensor:
    """MeanVarianceNormalization."""
    x, axes = call[0], list(call.attribute("axes", [0, 2, 3]))
    call.require(0 not in axes, "each image alone", "all of a batch together", "leave axis 0 out")
    # ONNX's own number, which keeps a root of 0 from being divided by.
    centred = x - x.mean(axes, keepdim=True)
    return centred * torch.rsqrt((centred * centred).mean(axes, keepdim=True) + 1e-9)


def lp_norm(call: OnnxCall) -> Tensor:
    """LpNormalization."""
    axis, order = call.attribute("axis", -1), call.attribute("p", 2)
    return F.normalize(call[0], order, axis, eps=0.0)


def _over_axes(call, function):
    """Softmax or its logarithm: before opset 13 over all axes from one on."""
    x, old = call[0], call.node.opset < 13
    axis = call.attribute("axis", 1 if old else -1) % max(x.dim(), 1)
    if not old or prod(x.shape[axis + 1 :]) == 1:
        return function(x, dim=axis)
    flat = x.reshape(*x.shape[:axis], -1)
    return function(flat, dim=axis).reshape(x.shape)


def softmax(call: OnnxCall) -> Tensor:
    """Softmax."""
    return _over_axes(call, torch.softmax)


def log_softmax(call: OnnxCall) -> Tensor:
    """LogSoftmax."""
    return _over_axes(call, torch.log_softmax)


def einsum(call: OnnxCall) -> Tensor:
    """Einsum."""
    operands = [call[n] for n in range(len(call))]
    return torch.einsum(call.attribute("equation").replace(" ", ""), *operands)


OPERATORS: Mapping[str, Reader] = {
    "Gemm": gemm,
    "MatMul": matmul,
    "BatchNormalization": batch_norm,
    "InstanceNormalization": instance_norm,
    "LayerNormalization": layer_norm,
    "GroupNormalization": group_norm,
    "RMSNormalization": rms_norm,
    "LRN": local_norm,
    "MeanVarianceNormalization": standardised,
    "LpNormalization": lp_norm,
    "Softmax": softmax,
    "LogSoftmax": log_softmax,
    "Einsum": einsum,
}
