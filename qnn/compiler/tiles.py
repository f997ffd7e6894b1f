"""Tile shapes and row pitches that keep the array busiest without a conflict between banks."""

from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import NamedTuple

from hw.spec.config import SvpeConfig
from qnn.compiler.neighbours import neighbours_of
from qnn.compiler.steps import Steps, steps, tile_cycles
from qnn.compiler.storage import RootPlace, row_words
from qnn.ir.graph import Graph
from qnn.ir.ops import Operator

# A pitch is chosen for the tiles that the others allow: each round may open better ones.
SWEEPS = 4  # over all pitches; each can only lower the estimate, two have been enough


@dataclass(frozen=True)
class Tile:
    """Pixels that the columns compute at a time.

    Members
    -------
    neighbours : columns that are read beside them, for what the others take of their neighbours
    """

    width: int
    height: int
    neighbours: int = 0

    @property
    def columns(self) -> int:
        """The number of columns whose results are written."""
        return self.width * self.height

    @property
    def read(self) -> "Tile":
        """The pixels that are read, beside each other."""
        return Tile(self.width + self.neighbours, self.height)

    def turn(self, config: SvpeConfig) -> "Tile":
        """The columns whose results are written in one cycle."""
        width = min(self.width, config.epilogue_words)
        return Tile(width, min(self.height, config.epilogue_words // width))

    def count(self, node: Operator) -> tuple[int, int]:
        """Tiles down and across the output."""
        return -(-node.shape[1] // self.height), -(-node.shape[2] // self.width)


@dataclass(frozen=True)
class Tiling:
    """The choice: rows of a root are ``pitches[root]`` words apart.

    Members
    -------
    tile_cycles : of one tile of all channels, by layer
    """

    pitches: dict[str, int]
    tiles: dict[str, Tile]
    tile_cycles: dict[str, int]


def cycles(node: Operator, tile: Tile, steps: Steps, config: SvpeConfig) -> int:
    """Estimate for all tiles of ``node``."""
    down, across = tile.count(node)
    return down * across * tile_cycles(node, tile.columns, steps, config)


@cache
def distinct_banks(tile: Tile, stride: tuple[int, int], pitch: int, banks: int) -> bool:
    """Whether the pixels of a tile meet in no bank, wherever it lies."""
    offsets = {
        (dx * stride[1] + dy * stride[0] * pitch) % banks
        for dx, dy in product(range(tile.width), range(tile.height))
    }
    return len(offsets) == tile.columns


def choose_layout(graph: Graph, place: dict[str, RootPlace], config: SvpeConfig) -> Tiling:
    """Pitches and tiles of least estimated cycles."""
    options = {n.name: _options(graph, n, place, config) for n in graph.nodes if n.is_computed}
    users: dict[str, list[_Options]] = {each.root: [] for each in place.values()}
    for each in options.values():
        for root in each.roots(config):
            users[root].append(each)
    pitches: dict[str, int] = {}
    for _ in range(SWEEPS):
        before = dict(pitches)
        for root, those in users.items():
            pitches[root] = _best_pitch(root, those, graph, place, pitches, config)
        # What changed nothing would change nothing again.
        if pitches == before:
            break
    best = {name: each.best(pitches, config) for name, each in options.items()}
    return Tiling(
        pitches,
        {name: option.tile for name, option in best.items()},
        {name: option.tile_cycles for name, option in best.items()},
    )


def _best_pitch(root, users, graph, place, pitches, config):
    """The least pitch of a root for which the layers that use it take the fewest cycles."""
    width = row_words(graph[root], place[root], config)
    # Pitches that differ by a multiple of the banks put rows into the same banks: one round of them
    # is all there is to try. A tensor of one row has no pitch to choose.
    last = width if graph[root].shape[1] == 1 else width + config.banks - 1

    def total(pitch):
        trial = _Trial(pitches, root, pitch)
        return sum(each.best(trial, config).cycles for each in users)

    return min(range(width, last + 1), key=total)


class _Trial(NamedTuple):
    """Pitches, but for one root that gets another."""

    pitches: dict[str, int]
    root: str
    pitch: int

    def get(self, root):
        return self.pitch if root == self.root else self.pitches.get(root)


class _Option(NamedTuple):
    """A tile of a layer, and its estimated cycles; in the order of preference.

    Of equals the one of fewer columns, then the flattest: no order of theirs decides.
    """

    cycles: int
    columns: int
    height: int
    tile_cycles: int
    tile: Tile


@dataclass(frozen=True)
class _Options:
    """The tiles of one layer, the best first, whatever the pitches.

    Members
    -------
    reads : the root and the stride of each operand; a skip is read pixel by pixel as it is added
    result : the root of the result, and the step of its pixels in there
    """

    reads: tuple[tuple[str, tuple[int, int]], ...]
    result: tuple[str, tuple[int, int]]
    tiles: tuple[_Option, ...]

    def roots(self, config: SvpeConfig) -> set[str]:
        """The roots whose pitches decide about the tile."""
        # A word that is written by itself meets none.
        written = {self.result[0]} if config.epilogue_words > 1 else set()
        return {root for root, _ in self.reads} | written

    def best(self, pitches, config: SvpeConfig) -> _Option:
        """The first whose reads meet in no bank, and whose writes of one cycle on no side of them.

        A pitch that is not chosen yet conflicts never.
        """
        given = [(stride, pitches.get(root)) for root, stride in self.reads]
        banks, sides = config.banks, config.sides
        known = [(stride, pitch % banks) for stride, pitch in given if pitch is not None]
        root, step = self.result
        written = [(step, pitch % sides) for pitch in (pitches.get(root),) if pitch is not None]
        return next(
            each
            for each in self.tiles
            if all(distinct_banks(each.tile.read, stride, pitch, banks) for stride, pitch in known)
            and all(distinct_banks(each.tile.turn(config), *at, sides) for at in written)
        )


def _options(graph, node, place, config):
    segments = [place[name].segments for name in (node.inputs[0], node.name)]
    sizes = [1 << n for n in range(config.columns.bit_length())]
    tiles = [Tile(width, height) for width, height in product(sizes, sizes)]
    # Of what all rows compute alike, their own lanes have nothing.
    beside = 0 if place[node.name].repeated else neighbours_of(node, *segments, config)
    tiles += [Tile(config.columns - beside, 1, beside)] if beside else []
    found = []
    for tile in tiles:
        if tile.columns <= config.columns:
            taken = steps(node, *segments, config, tile.neighbours)
            whole = cycles(node, tile, taken, config)
            each = tile_cycles(node, tile.columns, taken, config)
            found.append(_Option(whole, tile.columns, tile.height, each, tile))
    # A skip operand of one pixel is one word for all columns, and meets no other.
    skips = [name for name in node.inputs[1:] if graph[name].shape[1:] != (1, 1)]
    reads = [(node.inputs[0], node.window.stride), *((name, (1, 1)) for name in skips)]
    roots = tuple((place[name].root, stride) for name, stride in reads)
    own = place[node.name]
    return _Options(roots, (own.root, own.step), tuple(sorted(found)))
