"""ONNX's functions of each value, and of values of several tensors, in PyTorch's words."""

import math
from collections.abc import Callable, Mapping
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor

from qnn.frontend.onnx.call import OnnxCall, Reader


def _of_one(function: Callable[[Tensor], Tensor]) -> Reader:
    return lambda call: function(call[0])


def _of_two(function: Callable[[Tensor, Tensor], Tensor]) -> Reader:
    return lambda call: function(call[0], call[1])


def _of_all(function: Callable[[Tensor, Tensor], Tensor]) -> Reader:
    return lambda call: reduce(function, [call[n] for n in range(len(call))])


def divided(call: OnnxCall) -> Tensor:
    """Div, which of integers gives what is whole."""
    if call[0].is_floating_point():
        return call[0] / call[1]
    return torch.div(call[0], call[1], rounding_mode="trunc")


def power(call: OnnxCall) -> Tensor:
    """Pow, by one number where the exponent is that."""
    exponents = call.numbers(1) if call.is_known(1) else None
    if exponents and len(exponents) == 1 and call.tensors[1].numel() == 1:
        found = call[0] ** _whole(exponents[0])
        return found.to(call[0].dtype)
    return torch.pow(call[0], call[1]).to(call[0].dtype)


def _whole(number):
    return int(number) if float(number).is_integer() else float(number)


def remainder(call: OnnxCall) -> Tensor:
    """Mod, of integers by the divisor's sign."""
    same = call.attribute("fmod", 0)
    return torch.fmod(call[0], call[1]) if same else torch.remainder(call[0], call[1])


def clip(call: OnnxCall) -> Tensor:
    """Clip, by constants; ReLU and ReLU6 where it is that."""
    low, high = call.number(1, "min"), call.number(2, "max")
    # The least and the largest real stand for no bound in older files.
    low = None if low is not None and low <= torch.finfo(torch.float32).min else low
    high = None if high is not None and high >= torch.finfo(torch.float32).max else high
    x = call[0]
    if low is None and high is None:
        return x
    if low == 0 and high is None:
        return torch.relu(x)
    if not x.is_floating_point():
        low, high = (None if each is None else int(each) for each in (low, high))
    return torch.clamp(x, low, high)


def leaky(call: OnnxCall) -> Tensor:
    """LeakyRelu."""
    return F.leaky_relu(call[0], call.attribute("alpha", 0.01))


def slopes(call: OnnxCall) -> Tensor:
    """PRelu, with a slope for each channel, or one that is broadcast in another way."""
    # Broadcast as NumPy does: a slope for each channel has axes of 1 behind it.
    x, slope = call[0], call[1]
    places = slope.reshape((1,) * (x.dim() - slope.dim()) + tuple(slope.shape))
    if slope.numel() in (1, x.shape[1]) and places.shape[1] == slope.numel():
        return F.prelu(x, slope.reshape(-1))
    return torch.relu(x) - slope * torch.relu(-x)


def elu(call: OnnxCall) -> Tensor:
    """Elu."""
    return F.elu(call[0], call.attribute("alpha", 1.0))


def celu(call: OnnxCall) -> Tensor:
    """Celu."""
    return F.celu(call[0], call.attribute("alpha", 1.0))


def selu(call: OnnxCall) -> Tensor:
    """Selu."""
    alpha = call.attribute("alpha", 1.67326319217681884765625)
    gamma = call.attribute("gamma", 1.05070102214813232421875)
    return gamma * F.elu(call[0], alpha)


def hard_sigmoid(call: OnnxCall) -> Tensor:
    """HardSigmoid, PyTorch's own where it has the same slope."""
    # Files hold a sixth in 24 bits.
    alpha, beta = call.attribute("alpha", 0.2), call.attribute("beta", 0.5)
    if math.isclose(alpha, 1 / 6, rel_tol=1e-5) and beta == 0.5:
        return F.hardsigmoid(call[0])
    return torch.clamp(call[0] * alpha + beta, 0, 1)


def gelu(call: OnnxCall) -> Tensor:
    """Gelu."""
    return F.gelu(call[0], approximate=call.attribute("approximate", "none"))


def swish(call: OnnxCall) -> Tensor:
    """Swish."""
    alpha = call.attribute("alpha", 1.0)
    return F.silu(call[0]) if alpha == 1 else call[0] * torch.sigmoid(alpha * call[0])


def above(call: OnnxCall) -> Tensor:
    """ThresholdedRelu."""
    return F.threshold(call[0], call.attribute("alpha", 1.0), 0.0)


def shrink(call: OnnxCall) -> Tensor:
    """Shrink, of a bias of 0 or of as much as its threshold."""
    bias, least = call.attribute("bias", 0.0), call.attribute("lambd", 0.5)
    call.require(bias in (0, least), f"a bias of 0 or {least:g}", f"{bias:g}", "choose one")
    return F.softshrink(call[0], least) if bias else F.hardshrink(call[0], least)


def where(call: OnnxCall) -> Tensor:
    """Where."""
    return torch.where(call[0].bool(), call[1], call[2])


def average(call: OnnxCall) -> Tensor:
    """Mean of several tensors."""
    return reduce(torch.add, [call[n] for n in range(len(call))]) * (1 / len(call))


def is_infinite(call: OnnxCall) -> Tensor:
    """IsInf of either sign."""
    both = call.attribute("detect_negative", 1) and call.attribute("detect_positive", 1)
    call.require(bool(both), "both signs", "one", "compare with 0 too")
    return torch.isinf(call[0])


ONE: Mapping[str, Callable[[Tensor], Tensor]] = {
    "Relu": torch.relu,
    "Sigmoid": torch.sigmoid,
    "Tanh": torch.tanh,
    "HardSwish": F.hardswish,
    "Mish": F.mish,
    "Softplus": F.softplus,
    "Softsign": F.softsign,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "Log": torch.log,
    "Sqrt": torch.sqrt,
    "Abs": torch.abs,
    "Neg": torch.neg,
    "Sign": torch.sign,
    "Reciprocal": torch.reciprocal,
    "Floor": torch.floor,
    "Ceil": torch.ceil,
    "Round": torch.round,
    "Sin": torch.sin,
    "Cos": torch.cos,
    "Tan": torch.tan,
    "Asin": torch.asin,
    "Acos": torch.acos,
    "Atan": torch.atan,
    "Sinh": torch.sinh,
    "Cosh": torch.cosh,
    "Asinh": torch.asinh,
    "Acosh": torch.acosh,
    "Atanh": torch.atanh,
    "Not": torch.logical_not,
    "IsNaN": torch.isnan,
    "com.microsoft.QuickGelu": lambda x: x * torch.sigmoid(1.702 * x),
}
TWO: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Add": torch.add,
    "Sub": torch.sub,
    "Mul": torch.mul,
    "Equal": torch.eq,
    "Greater": torch.gt,
    "GreaterOrEqual": torch.ge,
    "Less": torch.lt,
    "LessOrEqual": torch.le,
    "And": torch.logical_and,
    "Or": torch.logical_or,
    "Xor": torch.logical_xor,
}
ALL: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Sum": torch.add,
    "Max": torch.maximum,
    "Min": torch.minimum,
}

OPERATORS: Mapping[str, Reader] = {
    **{name: _of_one(function) for name, function in ONE.items()},
    **{name: _of_two(function) for name, function in TWO.items()},
    **{name: _of_all(function) for name, function in ALL.items()},
    "Div": divided,
    "Pow": power,
    "Mod": remainder,
    "Clip": clip,
    "LeakyRelu": leaky,
    "PRelu": slopes,
    "Elu": elu,
    "Celu": celu,
    "Selu": selu,
    "HardSigmoid": hard_sigmoid,
    "Gelu": gelu,
    "com.microsoft.Gelu": gelu,
    "Swish": swish,
    "ThresholdedRelu": above,
    "Shrink": shrink,
    "Where": where,
    "Mean": average,
    "IsInf": is_infinite,
}
