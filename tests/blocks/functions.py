"""Functions of one tensor's values, which are tables, and arithmetic with constants."""

from types import MappingProxyType

import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import nn

from tests.blocks.parts import Called, by_channel, called, same

# Whatever the operand is, their results are no larger than it is, or of its square's size.
FUNCTIONS = MappingProxyType(
    {
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "silu": F.silu,
        "gelu": F.gelu,
        "hardswish": F.hardswish,
        "hardsigmoid": F.hardsigmoid,
        "leaky relu": lambda x: F.leaky_relu(x, 0.1),
        "elu": F.elu,
        "mish": F.mish,
        "softplus": F.softplus,
        "softsign": F.softsign,
        "softshrink": F.softshrink,
        "exponential": lambda x: torch.exp(-x.abs()),
        "logarithm": lambda x: torch.log(x.abs() + 1),
        "root": lambda x: torch.sqrt(x.abs()),
        "reciprocal": lambda x: 1 / (1 + x.square()),
        "reciprocal root": lambda x: torch.rsqrt(x * x + 1),
        "sine and cosine": lambda x: torch.sin(x) + torch.cos(x),
        "chain": lambda x: 0.5 * x * (1 + torch.erf(x / 2**0.5)),
        "power of a clamp": lambda x: x.clamp(-1, 2).pow(3),
        "square": lambda x: x * x,
        "choice": lambda x: torch.where(x > 0, x, 0.1 * x),
        # Where these jump, a float graph may be off by a last bit and so by a whole step.
        "sign": torch.sign,
        "floor": torch.floor,
        "threshold": lambda x: F.threshold(x, 0.1, 0.2),
    }
)
JUMPS = ("sign", "floor", "threshold", "choice of two")
CONSTANTS = MappingProxyType(
    {
        "factor": lambda x: x * 2.5,
        "shift": lambda x: x + 0.5,
        "from a number": lambda x: 1 - x,
        "minus": lambda x: -x,
        "quotient": lambda x: x / 3,
        "clamped": lambda x: F.relu6(x + 3) / 6,
        "doubled": lambda x: x + x,
    }
)


def _function(function):
    def make(draw, shape):
        tried = Called(function)
        # Joins the layer before it, or is a layer of its own where there is none.
        return nn.Sequential(same(draw, shape, shape[0]), tried) if draw(st.booleans()) else tried

    return make


def _by_channel(draw, shape):
    factors = by_channel(torch.linspace(-1.5, 2, shape[0]), shape)
    shifts = by_channel(torch.linspace(1, -0.5, shape[0]), shape)
    operators = (
        lambda x: x * factors + shifts,
        lambda x: (x - shifts) / 2,
        lambda x: torch.addcmul(shifts, x, factors),
    )
    return Called(draw(st.sampled_from(operators)))


def _slopes_by_channel(draw, shape):
    layer = nn.PReLU(shape[0])
    with torch.no_grad():
        layer.weight.copy_(torch.linspace(-0.5, 0.75, shape[0]))
    return layer


def _swish_by_channel(draw, shape):
    factors = by_channel(torch.linspace(0.5, 2, shape[0]), shape)
    return Called(lambda x: x * torch.sigmoid(factors * x))


KINDS = MappingProxyType(
    {name: _function(function) for name, function in FUNCTIONS.items()}
    | {
        "prelu": lambda draw, shape: nn.PReLU(),
        "prelu by channel": _slopes_by_channel,
        "swish by channel": _swish_by_channel,
    }
)
ARITHMETIC = MappingProxyType(
    {name: called(function) for name, function in CONSTANTS.items()} | {"by channel": _by_channel}
)
