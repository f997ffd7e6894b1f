"""Convolutions that copy a tensor exactly: weight 1, no shift, no bias."""

from dataclasses import replace

import numpy as np

from qnn.ir.epilogue import Epilogue
from qnn.ir.ops import Conv, Operator
from qnn.ir.window import Window


def copy_channels(name: str, source: Operator, weight_bits: int) -> Conv:
    """A copy of ``source`` that keeps its segments: one weight for each channel."""
    zeros = np.zeros(source.shape[0], np.int64)
    low, high = source.type.low, source.type.high
    return Conv(
        name=name,
        inputs=(source.name,),
        shape=source.shape,
        type=source.type,
        window=Window(kernel=(1, 1), groups=source.shape[0]),
        codes=np.ones((1, source.shape[0], 1, 1, 1), np.int8),
        weight_bits=weight_bits,
        epilogue=Epilogue(left=zeros, bias=zeros, right=zeros, low=low, high=high),
    )


def copy_in_order(name: str, source: Operator, weight_bits: int) -> Conv:
    """A copy of ``source`` whose channels follow each other, whatever its segments are."""
    depthwise = copy_channels(name, source, weight_bits)
    codes = np.eye(source.shape[0], dtype=np.int8)[None, :, :, None, None]
    return replace(depthwise, window=Window(kernel=(1, 1)), codes=codes)


def weight_bits(graph) -> int:
    """The width of the network's weight codes; any width holds the weight 1."""
    return max((conv.weight_bits for conv in graph.convs), default=2)


def fresh_name(name: str, taken: set[str]) -> str:
    """``name``, or with the least number behind it that makes it new; it is taken from now on."""
    number, fresh = 1, name
    while fresh in taken:
        number += 1
        fresh = f"{name}_{number}"
    taken.add(fresh)
    return fresh
