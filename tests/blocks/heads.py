"""What ends a network: classifiers, heads of detectors, what the host computes, or nothing."""

import math
from types import MappingProxyType

import torch
from hypothesis import strategies as st
from torch import nn

from tests.blocks.parts import Called, called, of_rank, point, space

MOST_FEATURES = 400  # of a linear layer over a whole map


def _flat(draw):
    ways = (
        lambda x: x.contiguous().view(x.size(0), -1),
        lambda x: x.flatten(1),
        lambda x: x.reshape(len(x), -1),
    )
    return Called(draw(st.sampled_from(ways)))


def _linear(draw, shape):
    """A linear layer over a whole map, as PyTorch has it or with the channels last."""
    features = math.prod(shape)
    if features > MOST_FEATURES:
        return None
    last = draw(st.booleans())
    flat = Called(lambda x: x.movedim(1, -1).flatten(1)) if last else _flat(draw)
    return nn.Sequential(flat, nn.Dropout(), nn.Linear(features, 5))


def _pooled(draw, shape):
    pool = of_rank(shape, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)(1)
    return nn.Sequential(pool, _flat(draw), nn.Linear(shape[0], 4, bias=False))


def _of_two_layers(draw, shape):
    over = space(shape)
    hidden = nn.Sequential(nn.Linear(shape[0], 9), nn.BatchNorm1d(9), nn.ReLU())
    return nn.Sequential(Called(lambda x: x.mean(over)), hidden, nn.Linear(9, 3))


def _mean(draw, shape):
    over = space(shape)
    mean = Called(lambda x: x.mean(over, keepdim=True))
    return nn.Sequential(mean, nn.ReLU(), nn.Flatten(), nn.Linear(shape[0], 7))


def _boxes(draw, shape):
    """Values of each of some anchors at each place, as heads of detectors give them."""
    anchors, values = draw(st.integers(1, 3)), draw(st.integers(2, 4))
    layer = point(shape, shape[0], anchors * values)

    def laid_out(x):
        x = x.reshape(len(x), anchors, values, *shape[1:]).movedim(2, -1)
        return x.reshape(len(x), -1, values)

    return nn.Sequential(layer, Called(laid_out))


def _by_host(draw, shape):
    function = draw(st.sampled_from((torch.softmax, torch.log_softmax)))
    return nn.Sequential(_pooled(draw, shape), Called(lambda x: function(x, 1)))


KINDS = MappingProxyType(
    {
        "linear": _linear,
        "pooled": _pooled,
        "of two layers": _of_two_layers,
        "mean": _mean,
        "boxes": _boxes,
        "softmax": _by_host,
        "convolution": lambda draw, shape: point(shape, shape[0], 3),
        "nothing": called(lambda x: x),
        "clamp": lambda draw, shape: nn.ReLU(),
        "function": called(torch.sigmoid),
    }
)
