"""Where tensors lie relative to each other: a concatenation and its operands share one root."""

from dataclasses import dataclass

from hw.spec.config import SvpeConfig
from qnn.compiler.segments import Segments, block_count, segments
from qnn.ir.graph import Graph
from qnn.ir.ops import Concat, Operator


@dataclass(frozen=True)
class RootPlace:
    """A tensor in its root: ``blocks`` feature words per pixel, from block ``first``."""

    root: str
    first: int
    blocks: int
    segments: Segments


def passes(node: Operator, config: SvpeConfig) -> int:
    """Feature words that one value takes."""
    return 1 if node.rounded else config.passes


def places(graph: Graph, config: SvpeConfig) -> dict[str, RootPlace]:
    """Every tensor's place. A pass has made sure that none has two."""
    of = segments(graph)
    counts = {name: block_count(parts, config.lanes) for name, parts in of.items()}
    home = {node.name: (node.name, 0) for node in graph.nodes}
    for node in reversed(graph.nodes):
        if not isinstance(node, Concat):
            continue
        root, first = home[node.name]
        for name in node.inputs:
            home[name] = (root, first)
            first += counts[name]
    return {
        name: RootPlace(root, first, counts[name], of[name]) for name, (root, first) in home.items()
    }


def row_words(node: Operator, place: RootPlace, config: SvpeConfig) -> int:
    """Feature words of one row of a tensor, its blocks and passes without a gap."""
    return passes(node, config) * place.blocks * node.shape[2]
