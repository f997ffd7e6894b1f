"""Every tensor's address on chip, for one choice of pitches."""

from hw.spec.config import SvpeConfig
from hw.spec.image import TensorLayout
from qnn.compiler.allocate import Request, allocate
from qnn.compiler.storage import Place, passes, root_words
from qnn.ir.graph import Graph
from qnn.ir.ops import Concat, Operator

ALWAYS = 1 << 30


def requests(
    graph: Graph,
    place: dict[str, Place],
    pitches: dict[str, int],
    config: SvpeConfig,
    *,
    private: frozenset[str],
) -> list[Request]:
    """What each root needs, from its first write to its last read in order of the nodes.

    ``private`` roots share their words with nobody at any time.
    """
    first, last = {}, {}
    for step, node in enumerate(graph.nodes):
        if isinstance(node, Concat):
            continue
        root = place[node.name].root
        first.setdefault(root, step)
        for name in (node.name, *node.inputs):
            last[place[name].root] = step
    for output in graph.outputs:
        root = place[output.name].root
        last[root] = max(last[root], _written(graph, output.name))
    return [
        Request(
            root,
            root_words(graph, root, place[root], pitches[root], config),
            -1 if root in private else first[root],
            ALWAYS if root in private else last[root],
        )
        for root in first
    ]


def private_roots(graph: Graph, place: dict[str, Place]) -> frozenset[str]:
    """Input and outputs, so that transfers of one image overlap the computation of another."""
    return frozenset(place[name].root for name in (graph.inputs[0].name, *_names(graph)))


def place_on_chip(
    graph: Graph,
    place: dict[str, Place],
    pitches: dict[str, int],
    needs: list[Request],
    config: SvpeConfig,
) -> dict[str, TensorLayout] | None:
    """The layout of every tensor, or None where the feature buffer is too small."""
    addresses = allocate(needs, config.feature_words)
    if addresses is None:
        return None
    return {
        node.name: chip_layout(node, place[node.name], pitches, addresses, config)
        for node in graph.nodes
    }


def chip_layout(
    node: Operator,
    place: Place,
    pitches: dict[str, int],
    addresses: dict[str, int],
    config: SvpeConfig,
) -> TensorLayout:
    """One tensor's layout within its root."""
    block_step = node.shape[1] * pitches[place.root]
    return TensorLayout(
        name=node.name,
        channels=place.segments,
        height=node.shape[1],
        width=node.shape[2],
        bits=config.result_bits if passes(node, config) > 1 else node.type.bits,
        signed=node.type.signed,
        exponent=node.type.exponent,
        address=addresses[place.root] + place.first * block_step,
        pitch=pitches[place.root],
        block_step=block_step,
        passes=passes(node, config),
        pass_step=place.blocks * block_step if passes(node, config) > 1 else 0,
    )


def _names(graph):
    return (output.name for output in graph.outputs)


def _written(graph, name):
    """Step of the last node that writes a part of a tensor."""
    node = graph[name]
    if isinstance(node, Concat):
        return max(_written(graph, operand) for operand in node.inputs)
    return graph.nodes.index(node)
