"""Where tensors lie relative to each other: what is joined and its operands share one root."""

from dataclasses import dataclass, replace

from hw.spec.config import SvpeConfig
from qnn.compiler.close_gaps import close_gaps
from qnn.compiler.segments import Segments, block_count, passes, segments
from qnn.compiler.shared_values import shared_values
from qnn.ir.graph import Graph
from qnn.ir.ops import Concat, Operator
from qnn.ir.window import Pair


@dataclass(frozen=True)
class RootPlace:
    """A tensor in its root: ``blocks`` feature words per pixel, from block ``first``.

    Its pixel (y, x) is pixel ``offset + (y, x) * step`` of the root. Of a ``repeated`` one, every
    lane that a row reads has the value of its only channel.
    """

    root: str
    first: int
    blocks: int
    segments: Segments
    step: Pair = (1, 1)
    offset: Pair = (0, 0)
    repeated: bool = False


def places(graph: Graph, config: SvpeConfig) -> dict[str, RootPlace]:
    """Every tensor's place. A pass has made sure that none has two."""
    of, shared = close_gaps(graph, segments(graph), config), shared_values(graph)
    counts = {name: block_count(parts, config.lanes) for name, parts in of.items()}
    found = {
        name: RootPlace(name, 0, counts[name], of[name], repeated=name in shared) for name in of
    }
    for node in reversed(graph.nodes):
        own = found[node.name]
        if isinstance(node, Concat):
            first = own.first
            for name in node.inputs:
                found[name] = replace(found[name], root=own.root, first=first)
                first += counts[name]
        if node.interleaves:
            # Its operands are computed, so that nothing lies inside of them in turn.
            for name, offset in zip(node.inputs, node.offsets, strict=True):
                found[name] = replace(own, step=node.step, offset=offset)
    return found


def lies_in(node: Operator, last: Operator) -> bool:
    """Whether a layer of a run is computed in its place inside the run's last, which joins it."""
    return not last.is_computed and node.name in last.inputs


def groups_of_layers(graph: Graph) -> list[tuple[Operator, ...]]:
    """What is computed, in order: each layer alone, but with an interleaving its operands.

    In memory the pixels of an interleaving's operands would lie apart, so that its rows go there
    whole.
    """
    inside = {name for n in graph.nodes if n.interleaves for name in n.inputs}
    found: list[tuple[Operator, ...]] = []
    for node in graph.nodes:
        if node.interleaves:
            found.append((*graph.sources(node), node))
        elif node.is_computed and node.name not in inside:
            found.append((node,))
    return found


def row_words(node: Operator, place: RootPlace, config: SvpeConfig) -> int:
    """Feature words of one row of a tensor, its blocks and passes without a gap."""
    return passes(node, config) * place.blocks * node.shape[2]
