"""How channels lie in feature words: every segment of a concatenation starts a new block."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hw.spec.config import SvpeConfig
from qnn.ir.graph import Graph
from qnn.ir.ops import Conv, Operator

Segments = tuple[int, ...]  # channels of each
# Every strip and every group of a layer asks for those of its tensors again: enough for the tensors
# of some hundred layers, which few networks have of different numbers of channels.
CACHED = 1024


@dataclass(frozen=True)
class Group:
    """Up to ``rows`` channels that one instruction computes: a part of the words of a block."""

    block: int
    part: int
    channels: tuple[int, ...]  # of the tensor, by row; the last group of a segment may have fewer


def segments(graph: Graph) -> dict[str, Segments]:
    """The segments of every tensor.

    What works channel by channel keeps its operand's, so that it reads a word for each that it
    writes; an addition takes those of its skip operand, so that the two meet in the same lanes,
    unless that has one channel for all.
    """
    of: dict[str, Segments] = {}
    for node in graph.nodes:
        names = node.channels_of(graph.sources(node))
        taken = tuple(count for name in names for count in of[name])
        of[node.name] = taken or (node.shape[0],)
    return of


def passes(node: Operator, config: SvpeConfig) -> int:
    """Feature words that one value takes."""
    return 1 if node.rounded else config.passes


def block_count(parts: Segments, lanes: int) -> int:
    """Feature words of one pixel."""
    return sum(-(-count // lanes) for count in parts)


@lru_cache(CACHED)
def lanes_of(parts: Segments, lanes: int) -> tuple[np.ndarray, np.ndarray]:
    """Block and lane of every channel, each ``(channels,)``."""
    blocks, positions, first = [], [], 0
    for count in parts:
        within = np.arange(count)
        blocks.append(first + within // lanes)
        positions.append(within % lanes)
        first += -(-count // lanes)
    found = np.concatenate(blocks), np.concatenate(positions)
    for array in found:
        array.flags.writeable = False  # callers share them
    return found


@lru_cache(CACHED)
def groups(parts: Segments, lanes: int, rows: int) -> tuple[Group, ...]:
    """The instructions' shares of a tensor, in the order of its channels."""
    block, lane = lanes_of(parts, lanes)
    members: dict[tuple[int, int], list[int]] = {}
    for channel, key in enumerate(zip(block.tolist(), (lane // rows).tolist(), strict=True)):
        members.setdefault(key, []).append(channel)
    return tuple(Group(*key, tuple(channels)) for key, channels in members.items())


def blocks_read(conv: Conv, share: Group, operand: Segments, lanes: int) -> range:
    """The operand's blocks that hold what some output channels are computed from.

    Channels of a group are neighbours, and so are the groups of neighbours: no block between the
    first and the last is without one.
    """
    block, _ = lanes_of(operand, lanes)
    first, last = (conv.inputs_of(channel) for channel in (share.channels[0], share.channels[-1]))
    return range(int(block[first.start]), int(block[last.stop - 1]) + 1)


def part_of(parts: Segments, lanes: int, first: int, stop: int) -> tuple[int, Segments]:
    """The first channel in blocks ``first`` to before ``stop``, and their segments."""
    before, own, start = 0, [], 0
    for count in parts:
        blocks = -(-count // lanes)
        low, high = (min(max(b - start, 0) * lanes, count) for b in (first, stop))
        before += low
        if high > low:
            own.append(high - low)
        start += blocks
    return before, tuple(own)
