"""Which rows of its operands a strip of a layer reads, and the layer as that strip sees it."""

from collections.abc import Collection
from dataclasses import replace
from itertools import pairwise
from math import ceil
from typing import NamedTuple

from qnn.ir.graph import Conv, Graph, Input, MaxPool, Node


class Rows(NamedTuple):
    """Rows ``first`` to before ``stop`` of a tensor."""

    first: int
    stop: int

    @property
    def count(self) -> int:
        """How many."""
        return self.stop - self.first

    def union(self, other: "Rows") -> "Rows":
        """Both, and what lies between."""
        return Rows(min(self.first, other.first), max(self.stop, other.stop))


def rows_read(node: Conv | MaxPool, rows: Rows, height: int) -> Rows:
    """Rows of the input, ``height`` high, that ``rows`` of the output read: the halo included.

    What lies outside is padding. A strip that reads nothing but padding still names one row,
    because an operand has at least one.
    """
    start = rows.first * node.stride[0] - node.padding[0]
    reach = (node.kernel[0] - 1) * node.dilation[0] + 1
    stop = (rows.stop - 1) * node.stride[0] - node.padding[0] + reach
    first = min(max(start, 0), height - 1)
    return Rows(first, max(min(stop, height), first + 1))


def row_step(node: Conv | MaxPool) -> int:
    """Rows of the input from one that is read to the next, where those between never are."""
    return node.stride[0] if node.kernel[0] == 1 and node.padding[:2] == (0, 0) else 1


def without_gaps(node: Conv | MaxPool) -> Conv | MaxPool:
    """The layer over an input of which only every ``row_step``-th row is there."""
    return replace(node, stride=(node.stride[0] // row_step(node), node.stride[1]))


def strip_node(node: Conv | MaxPool, rows: Rows, read: Rows) -> Conv | MaxPool:
    """The layer that computes ``rows`` from ``read`` alone.

    Its upper padding is what the strip's first window has above ``read``: that of the image at the
    image's border, none inside of it.
    """
    top = read.first - (rows.first * node.stride[0] - node.padding[0])
    shape = (node.shape[0], rows.count, node.shape[2])
    return replace(node, shape=shape, padding=(top, *node.padding[1:]))


def cut(height: int, size: int) -> tuple[Rows, ...]:
    """Strips of ``size`` rows from the top down; the last may have fewer."""
    return tuple(Rows(first, min(first + size, height)) for first in range(0, height, size))


def rows_by_strip(
    graph: Graph, nodes: tuple[Node, ...], size: int, skipped: Collection[str] = ()
) -> tuple[dict[str, Rows], ...] | None:
    """For each strip of the last node: rows that it needs of every tensor, computed or read.

    Parameters
    ----------
    nodes : layers that are computed one after the other in each strip
    size : rows of the last one in a strip
    skipped : tensors of which only every ``row_step``-th row counts, for their one reader

    Returns
    -------
    None where the strips leave out rows of a layer that is not the last.
    """
    strips = cut(nodes[-1].shape[1], size)
    needed = []
    for number, rows in enumerate(strips):
        ends = (number == 0, number == len(strips) - 1)
        needed.append(_needed(graph, nodes, rows, ends, skipped))
    for node in nodes[:-1]:
        parts = [each[node.name] for each in needed]
        if any(part.first > before.stop for before, part in pairwise(parts)):
            return None
    return tuple(needed)


def _needed(graph, nodes, rows, ends, skipped):
    """Backwards from the last node; strips at the ends take what no window reads there too."""
    is_first, is_last = ends
    needed = {nodes[-1].name: rows}
    for node in reversed(nodes):
        own = needed[node.name]
        if is_first or is_last:
            own = Rows(0 if is_first else own.first, node.shape[1] if is_last else own.stop)
            needed[node.name] = own
        if isinstance(node, Input):
            continue
        height = graph[node.input].shape[1]
        if node.input in skipped:
            reads = {node.input: rows_read(without_gaps(node), own, ceil(height / row_step(node)))}
        else:
            reads = {node.input: rows_read(node, own, height)}
        if isinstance(node, Conv) and node.skip is not None:
            skip = reads.get(node.skip, own)
            reads[node.skip] = own.union(skip)
        for name, read in reads.items():
            needed[name] = read.union(needed.get(name, read))
    return needed
