"""Convolutions that copy a tensor exactly: weight 1, no shift, no bias."""

import numpy as np

from qnn.ir.graph import Conv, Node


def copy_channels(name: str, source: Node, weight_bits: int) -> Conv:
    """A copy of ``source`` that keeps its segments: one weight for each channel."""
    zeros = np.zeros(source.shape[0], np.int64)
    return Conv(
        name=name,
        input=source.name,
        shape=source.shape,
        type=source.type,
        codes=np.ones((1, source.shape[0], 1, 1, 1), np.int8),
        weight_bits=weight_bits,
        left=zeros,
        bias=zeros,
        right=zeros,
        groups=source.shape[0],
        low=source.type.low,
        high=source.type.high,
    )


def weight_bits(graph) -> int:
    """The width of the network's weight codes; any width holds the weight 1."""
    return max((node.weight_bits for node in graph.nodes if isinstance(node, Conv)), default=2)


def fresh_name(name: str, taken: set[str]) -> str:
    """``name``, or with the least number behind it that makes it new; it is taken from now on."""
    number, fresh = 1, name
    while fresh in taken:
        number += 1
        fresh = f"{name}_{number}"
    taken.add(fresh)
    return fresh
