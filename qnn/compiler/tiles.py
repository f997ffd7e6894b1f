"""Tile shapes and row pitches that keep the array busiest without a conflict between banks."""

from collections import Counter
from dataclasses import dataclass
from itertools import product

from hw.spec.config import SvpeConfig
from qnn.compiler.segments import blocks_read, groups
from qnn.compiler.storage import RootPlace, passes, row_words
from qnn.ir.graph import Graph
from qnn.ir.ops import MaxPool, Operator

# A pitch is chosen for the tiles that the others allow: each round may open better ones.
SWEEPS = 4  # over all pitches; each can only lower the estimate, two have been enough


@dataclass(frozen=True)
class Tile:
    """Pixels that the columns compute at a time."""

    width: int
    height: int

    @property
    def columns(self) -> int:
        """The number of columns that the tile uses."""
        return self.width * self.height

    def count(self, node: Operator) -> tuple[int, int]:
        """Tiles down and across the output."""
        return -(-node.shape[1] // self.height), -(-node.shape[2] // self.width)


@dataclass(frozen=True)
class Tiling:
    """The choice: rows of a root are ``pitches[root]`` words apart."""

    pitches: dict[str, int]
    tiles: dict[str, Tile]


Steps = Counter[int]  # how many instructions take so many steps for each tile


def steps(node: Operator, place: dict[str, RootPlace], config: SvpeConfig) -> Steps:
    """How many instructions of ``node`` take each number of steps per tile."""
    taps, operand = node.window.kernel[0] * node.window.kernel[1], place[node.inputs[0]].segments
    if isinstance(node, MaxPool):
        return Counter(taps for _ in groups(operand, config.lanes, config.lanes))
    taps *= node.codes.shape[0]
    return Counter(
        taps * len(blocks_read(node, share, operand, config.lanes)) + (node.skip is not None)
        for share in groups(place[node.name].segments, config.lanes, config.rows)
    )


def tile_cycles(node: Operator, tile: Tile, steps: Steps, config: SvpeConfig) -> int:
    """Estimate for one tile of all channels: steps, or its interval where that is longer."""
    interval = max(passes(node, config) * tile.columns, config.columns)
    return sum(count * max(each, interval) for each, count in steps.items())


def cycles(node: Operator, tile: Tile, steps: Steps, config: SvpeConfig) -> int:
    """Estimate for all tiles of ``node``."""
    down, across = tile.count(node)
    return down * across * tile_cycles(node, tile, steps, config)


def distinct_banks(tile: Tile, stride: tuple[int, int], pitch: int, banks: int) -> bool:
    """Whether one step's reads meet in no bank, wherever the tile lies."""
    offsets = {
        (dx * stride[1] + dy * stride[0] * pitch) % banks
        for dx, dy in product(range(tile.width), range(tile.height))
    }
    return len(offsets) == tile.columns


def choose_layout(graph: Graph, place: dict[str, RootPlace], config: SvpeConfig) -> Tiling:
    """Pitches and tiles of least estimated cycles."""
    workers = [node for node in graph.nodes if node.is_computed]
    roots = list(dict.fromkeys(p.root for p in place.values()))
    readers = {root: [n for n in workers if root in _roots(n, place)] for root in roots}
    taken = {node.name: steps(node, place, config) for node in workers}
    pitches = {}
    for _ in range(SWEEPS):
        for root in roots:
            width = row_words(graph[root], place[root], config)
            # Pitches that differ by a multiple of the banks put rows into the same banks: one round
            # of them is all there is to try. A tensor of one row has no pitch to choose.
            last = width if graph[root].shape[1] == 1 else width + config.banks - 1
            trials = [{**pitches, root: pitch} for pitch in range(width, last + 1)]
            pitches = min(trials, key=lambda t: _total(readers[root], t, place, taken, config))
    tiles = {node.name: _best(node, pitches, place, taken, config)[1] for node in workers}
    return Tiling(pitches, tiles)


def _roots(node, place):
    return [place[name].root for name in node.inputs]


def _total(readers, pitches, place, taken, config):
    return sum(_best(node, pitches, place, taken, config)[0] for node in readers)


def _best(node, pitches, place, taken, config):
    """Estimated cycles of ``node`` and its tile; a pitch that is not chosen yet conflicts never."""
    sizes = [1 << n for n in range(config.columns.bit_length())]
    best = None
    for width, height in product(sizes, sizes):
        tile = Tile(width, height)
        if tile.columns > config.columns or not _fits(node, tile, pitches, place, config):
            continue
        # Of equals the one of fewer columns, then the flattest: the choice must not depend on their
        # order.
        score = (cycles(node, tile, taken[node.name], config), tile.columns, height)
        if best is None or score < best[0]:
            best = (score, tile)
    return best[0][0], best[1]


def _fits(node, tile, pitches, place, config):
    # The operands after the first are skips, which are read pixel by pixel as they are added.
    reads = [(node.inputs[0], node.window.stride), *((name, (1, 1)) for name in node.inputs[1:])]
    return all(
        place[name].root not in pitches
        or distinct_banks(tile, stride, pitches[place[name].root], config.banks)
        for name, stride in reads
    )
