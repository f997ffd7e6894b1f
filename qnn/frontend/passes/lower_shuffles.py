"""A pixel shuffle interleaves the channels of each place in a block, computed one by one."""

from dataclasses import fields, replace
from itertools import product

import torch
from torch import Tensor

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.conv import FloatConv, pointwise
from qnn.frontend.ops.interleave import FloatInterleave
from qnn.frontend.ops.pixel_shuffle import PixelShuffle
from qnn.frontend.rewrite import Rewrite


def lower_shuffles(graph: FloatGraph) -> FloatGraph:
    """Let the convolution that a shuffle alone reads compute its parts; else copies select them."""
    rewrite = Rewrite(graph)
    for node in rewrite.each(PixelShuffle):
        source, factor = rewrite[node.inputs[0]], node.factor
        channels, size = node.shape[0], source.shape[1:]
        absorbed = _splits(source, factor) and rewrite.uses(source.name) == 1
        whole = source if absorbed else _selection(source)
        offsets = tuple(product(range(factor), range(factor)))
        parts = [
            replace(
                # PyTorch puts the places of a block next to each other among the channels.
                _with_channels(whole, range(number, source.shape[0], factor**2)),
                name=f"{node.name}.{place[0]}_{place[1]}",
                shape=(channels, *size),
            )
            for number, place in enumerate(offsets)
        ]
        names = tuple(part.name for part in parts)
        whole = FloatInterleave(
            name=node.name, inputs=names, shape=node.shape, step=(factor, factor), offsets=offsets
        )
        if absorbed:
            rewrite.exchange(source.name)
        rewrite.exchange(node.name, *parts, whole)
    return rewrite.graph()


def _splits(source, factor):
    """Whether its channels can be computed apart: a part keeps the groups that the whole has."""
    if not isinstance(source, FloatConv) or source.skip is not None:
        return False
    # Each part takes one channel in factor**2, which must be as many of every group.
    return source.shape[0] // source.window.groups % factor**2 == 0


def _selection(source):
    """A copy of all channels that mixes none."""
    return pointwise(source.name, source, torch.eye(source.shape[0]), fixed=True)


def _with_channels(conv, channels):
    """The convolution of some of its output channels alone."""
    taken, count = list(channels), conv.shape[0]

    def some(value):
        return value[taken] if isinstance(value, Tensor) and len(value) == count else value

    norm = conv.batchnorm
    if norm is not None:
        norm = replace(norm, **{f.name: some(getattr(norm, f.name)) for f in fields(norm)})
    return replace(conv, weight=conv.weight[taken], bias=some(conv.bias), batchnorm=norm)
