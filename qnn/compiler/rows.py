"""Which rows of every tensor the strips of some layers need, computed or read."""

from collections.abc import Collection
from dataclasses import replace
from itertools import pairwise
from math import ceil

from qnn.ir.graph import Graph
from qnn.ir.ops import Conv, MaxPool, Operator
from qnn.ir.rows import Rows, cut


def without_gaps(node: Conv | MaxPool) -> Conv | MaxPool:
    """The layer over an input of which only every ``row_step``-th row is there."""
    return replace(node, window=node.window.without_gaps())


def rows_by_strip(
    graph: Graph, nodes: tuple[Operator, ...], size: int, skipped: Collection[str] = ()
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
        # Strips that need no row of a layer, as none of its rows lies in them, leave none out.
        parts = [each[node.name] for each in needed if each[node.name].count]
        edges = [Rows(0, 0), *parts, Rows(node.shape[1], node.shape[1])]
        if any(part.first > before.stop for before, part in pairwise(edges)):
            return None
    return tuple(needed)


def _needed(graph, nodes, rows, ends, skipped):
    """Backwards from the last node; strips at the ends take what no window reads there too."""
    is_first, is_last = ends
    needed = {nodes[-1].name: rows}
    for node in reversed(nodes):
        own = needed[node.name]
        if own.count and (is_first or is_last):
            own = Rows(0 if is_first else own.first, node.shape[1] if is_last else own.stop)
            needed[node.name] = own
        for name, read in zip(node.inputs, _reads(graph, node, own, skipped), strict=True):
            needed[name] = read.union(needed.get(name, read))
    return needed


def _reads(graph, node, rows, skipped):
    """The rows of each operand that ``rows`` of a layer are computed from."""
    if not rows.count:
        return (rows,) * len(node.inputs)
    heights = tuple(source.shape[1] for source in graph.sources(node))
    if not any(name in skipped for name in node.inputs):
        return node.rows_read(rows, heights)
    first, *others = heights
    sparse = ceil(first / node.window.row_step)
    return without_gaps(node).rows_read(rows, (sparse, *others))
