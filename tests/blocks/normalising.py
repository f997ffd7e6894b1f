"""Normalisations by an image's own values, quotients of two tensors, and softmax of channels."""

from types import MappingProxyType

import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.blocks.parts import Called, divisors, of_rank, same, space


class LastAxis(nn.Module):
    """A layer of the channels behind the places, as ConvNeXt has it."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.movedim(1, -1)).movedim(-1, 1)


def _norm(make):
    """Behind a convolution, whose channels differ, as they do where a network normalises."""
    return lambda draw, shape: nn.Sequential(same(draw, shape, 8), make(draw, shape))


def _groups(draw, shape):
    return nn.GroupNorm(draw(st.sampled_from(divisors(8))), 8)


def _instance(draw, shape):
    kind = of_rank(shape, nn.InstanceNorm1d, nn.InstanceNorm2d)
    # Of a single place there is nothing to normalise, which PyTorch refuses.
    return kind(8, affine=draw(st.booleans())) if _is_wide(shape) else nn.ReLU()


def _is_wide(shape):
    return max(shape[1:]) > 1


def _quotient(draw, shape):
    branch = same(draw, shape, draw(st.sampled_from((1, shape[0]))))
    return Called(lambda x, y: x / (1 + y.abs()), branch)


def _softmax(draw, shape):
    # Of a single channel it is 1, and nothing of the input is left.
    return Called(lambda x: torch.softmax(x, 1)) if shape[0] > 1 else None


def _by_space(draw, shape):
    over = space(shape)
    return Called(lambda x: x / (x.norm(dim=over, keepdim=True) + 0.1))


KINDS = MappingProxyType(
    {
        "group norm": _norm(_groups),
        "instance norm": _norm(_instance),
        "layer norm of channels": _norm(lambda draw, shape: LastAxis(nn.LayerNorm(8))),
        "root mean square": _norm(lambda draw, shape: LastAxis(nn.RMSNorm(8))),
        "normalised channels": _norm(lambda draw, shape: Called(lambda x: F.normalize(x, dim=1))),
        "softmax of channels": _softmax,
        "quotient": _quotient,
        "over a norm of space": _by_space,
    }
)
