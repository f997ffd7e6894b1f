"""Sums, products and extremes of two computed tensors, of one shape or with one broadcast."""

from types import MappingProxyType

import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import nn

from tests.blocks.parts import Called, of_rank, point, same, space

JOINS = MappingProxyType(
    {
        "product": torch.mul,
        "sum": torch.add,
        "sum with a factor": lambda a, b: torch.add(a, b, alpha=0.5),
        "difference": torch.sub,
        "difference turned round": torch.rsub,
        "maximum": torch.maximum,
        "minimum": torch.minimum,
    }
)


def _joined(join):
    """The operand, or a branch of it, with another branch; of its shape or of one to broadcast."""

    def make(draw, shape):
        over = draw(st.sampled_from(_means(shape)))
        channels = draw(st.sampled_from((1, shape[0], shape[0])))
        branch = same(draw, shape, channels)
        mean = _mean(over)
        if draw(st.booleans()):
            return Called(lambda x, y: join(x, mean(y)), branch)
        first = same(draw, shape, shape[0])
        return Called(lambda x, a, b: join(a, mean(b)), first, branch)

    return make


def _mean(over):
    return (lambda x: x.mean(over, keepdim=True)) if over else lambda x: x


def _means(shape):
    """Axes to take the mean of: none, all of the space, the channels, rows or columns."""
    return ((), (), space(shape), space(shape), (1,), *((axis,) for axis in space(shape)))


def _residual(draw, shape):
    branch = same(draw, shape, shape[0])
    if draw(st.booleans()):
        branch = nn.Sequential(same(draw, shape, shape[0]), nn.ReLU(), branch)
    if draw(st.integers(0, 4)) == 0:
        branch = nn.Sequential(branch, nn.ReLU())
    pool = of_rank(shape, nn.MaxPool1d, nn.MaxPool2d)(3, 1, 1)
    others = (nn.Identity(), nn.Identity(), same(draw, shape, shape[0]), pool)
    other, clamp = draw(st.sampled_from(others)), draw(st.booleans())
    return Called(lambda x, a, b: F.relu(a + b) if clamp else a + b, branch, other)


def _excited(draw, shape):
    """Squeeze and excitation."""
    few, over = draw(st.integers(1, 4)), space(shape)
    gate = draw(st.sampled_from((torch.sigmoid, F.hardsigmoid, torch.tanh)))
    layers = nn.Sequential(point(shape, shape[0], few), nn.ReLU(), point(shape, few, shape[0]))
    mean = Called(lambda x: x.mean(over, keepdim=True))
    return Called(lambda x, s: x * gate(s), nn.Sequential(mean, layers))


def _attended(draw, shape):
    """Spatial attention."""
    return Called(lambda x, mask: x * torch.sigmoid(mask), same(draw, shape, 1))


def _gated(draw, shape):
    """A gated linear unit."""

    def unit(x, both):
        values, gate = both.chunk(2, 1)
        return values * torch.sigmoid(gate)

    return Called(unit, same(draw, shape, 2 * shape[0]))


def _square_of_a_branch(draw, shape):
    """A square whose operand others read too."""
    return Called(lambda x, y: y * y + y, same(draw, shape, shape[0]))


def _spread(draw, shape):
    """One value for each channel that is added to a map."""
    over = space(shape)
    layers = nn.Sequential(
        Called(lambda x: x.mean(over, keepdim=True)), point(shape, shape[0], shape[0])
    )
    return Called(lambda x, y, v: y + v, same(draw, shape, shape[0]), layers)


def _chosen(draw, shape):
    """A choice by a comparison, which jumps where both are alike."""
    choices = (
        lambda x, y: torch.where(x > y, x, y * 2),
        lambda x, y: x.masked_fill(y > x, -0.5),
        lambda x, y: x * (x <= y),
    )
    return Called(draw(st.sampled_from(choices)), same(draw, shape, shape[0]))


KINDS = MappingProxyType(
    {name: _joined(join) for name, join in JOINS.items()}
    | {
        "residual": _residual,
        "squeeze and excitation": _excited,
        "spatial attention": _attended,
        "gated linear unit": _gated,
        "choice of two": _chosen,
        "square that others read": _square_of_a_branch,
        "values for channels": _spread,
    }
)
