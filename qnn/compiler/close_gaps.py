"""Words that a concatenation leaves partly empty are filled by the layer that reads them.

Each operand of a concatenation starts a new word, so that one of 12 channels leaves 4 of 16 lanes
empty. What normalises such a tensor channel by channel would hand the gaps on, and whoever reads
the result would compute with them. It may read two words for each that it writes instead: results
leave the array one word per cycle, so that the further steps are mostly free.
"""

from collections.abc import Mapping

from hw.spec.config import SvpeConfig
from qnn.compiler.segments import Segments, block_count
from qnn.compiler.steps import steps, tile_cycles
from qnn.ir.graph import Graph


def close_gaps(graph: Graph, of: Mapping[str, Segments], config: SvpeConfig) -> dict[str, Segments]:
    """The segments ``of`` all tensors, where a layer costs no more without gaps than it saves."""
    return {name: _chosen(graph, graph[name], of, config) for name in of}


def _chosen(graph, node, of, config):
    kept, closed = of[node.name], (node.shape[0],)
    sources, readers = graph.sources(node), graph.users(node.name)
    # What works channel by channel on one operand, and is no maximum: of those, words have gaps.
    alone = node.is_computed and not node.takes_maximum and node.channels_of(sources) == node.inputs
    # What mixes channels finds them anywhere; all else has its own results where its operand's are.
    mixed = readers and all(_mixes(graph, reader, node.name) for reader in readers)
    if not alone or not mixed:
        return kept
    if block_count(closed, config.lanes) == block_count(kept, config.lanes):
        return kept
    layers = (node, *readers)
    costs = [
        sum(_cycles(layer, {**of, node.name: parts}, config) for layer in layers)
        for parts in (closed, kept)
    ]
    return closed if costs[0] <= costs[1] else kept


def _mixes(graph, reader, name):
    return reader.is_computed and name not in reader.aligned(graph.sources(reader))


def _cycles(node, of, config):
    """Estimate for the whole map, in tiles of all columns."""
    taken = steps(node, of[node.inputs[0]], of[node.name], config)
    _, height, width = node.shape
    return height * width * tile_cycles(node, config.columns, taken, config)
