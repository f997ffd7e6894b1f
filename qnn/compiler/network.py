"""A network as the choice of strips sees it: sizes in words, and costs in cycles.

Every buffer and every map in memory is row by row: the words of all channels of a row of pixels lie
together, so that a strip of rows is one piece.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from hw.spec.config import SvpeConfig
from hw.spec.isa.buffers import Buffer
from hw.spec.tensors import TensorLayout
from qnn.compiler.lower import GroupData, pack_layer
from qnn.compiler.segments import passes
from qnn.compiler.storage import RootPlace, places, row_words
from qnn.compiler.tiles import Tile, choose_layout
from qnn.ir.graph import Graph
from qnn.ir.ops import Conv, MaxPool, Operator
from qnn.ir.rows import Rows

# Of the time of computation, above which a network waits for loads from its first to its last.
# Measured: LeNet-5 at 1.58 gains by loads of whole layers, FD-MobileNet at 1.06 loses.
LOAD_BOUND = 1.4


@dataclass(frozen=True, eq=False)
class MappedNetwork:
    """A network with the layout, the tiles and the packed weights of its layers.

    Members
    -------
    place : every tensor within its root
    pitches : of every root; that of a buffer is equal to it modulo the banks
    tiles : of every layer
    packed : weights and parameters of every convolution, by group
    bytes_per_cycle : of each direction of the memory port
    tile_cycles : of one tile of all channels of every layer
    batch : times that it is computed in one run
    """

    graph: Graph
    config: SvpeConfig
    place: dict[str, RootPlace]
    pitches: dict[str, int]
    tiles: dict[str, Tile]
    packed: dict[str, tuple[GroupData, ...]]
    bytes_per_cycle: int
    tile_cycles: dict[str, int]
    batch: int = 1
    _roots: dict[tuple[Operator, ...], frozenset[str]] = field(default_factory=dict)

    def roots(self, nodes: tuple[Operator, ...]) -> frozenset[str]:
        """The roots of all tensors that some layers read or write."""
        if nodes not in self._roots:
            names = {name for node in nodes for name in (node.name, *node.inputs)}
            self._roots[nodes] = frozenset(self.place[name].root for name in names)
        return self._roots[nodes]

    def row_words(self, name: str) -> int:
        """Words of one row of a tensor, in memory and at least on chip."""
        return row_words(self.graph[name], self.place[name], self.config)

    def pitch(self, name: str, step: int = 1) -> int:
        """Words from row to row in a buffer of a tensor's own, of every ``step``-th row alone.

        Pixels that a tile reads at a time lie in the banks that they have in the whole tensor.
        """
        residue = step * self.pitches[self.place[name].root] - self.row_words(name)
        return self.row_words(name) + residue % self.config.banks

    def slice_pitch(self, name: str, blocks: int) -> int:
        """Words from row to row in a buffer of some blocks of a result."""
        node, config = self.graph[name], self.config
        words = passes(node, config) * blocks * node.shape[2]
        # Pixels below each other that are written at a time lie on the sides that they have in the
        # whole tensor; one at a time meets no other.
        residue = self.pitches[self.place[name].root] - words
        return words + (residue % config.sides if config.epilogue_words > 1 else 0)

    def root_words(self, root: str) -> int:
        """The words that a whole root takes on chip."""
        return self.graph[root].shape[1] * self.pitches[root]

    def transfer_cycles(self, words: int) -> float:
        """Cycles that ``words`` feature words take on the memory port."""
        return words * self._word_bytes / self.bytes_per_cycle

    @cached_property
    def _word_bytes(self):
        return Buffer.FEATURES.word_bytes(self.config)

    def weight_cycles(self, name: str) -> float:
        """Cycles that all weights of a layer take on the memory port."""
        return self._weight_sizes[name][0] / self.bytes_per_cycle if name in self.packed else 0.0

    def weight_words(self, name: str) -> tuple[int, int]:
        """Words of weights and of parameters that all groups of a layer take on chip."""
        return self._weight_sizes[name][1:] if name in self.packed else (0, 0)

    @cached_property
    def _weight_sizes(self):
        # Once for each layer, which may have hundreds of groups: bytes, and words of both buffers.
        return {
            name: (
                sum(len(each.weights) + len(each.parameters) for each in data)
                + sum(map(len, {each.table for each in data if each.table is not None})),
                sum(each.words for each in data),
                len(data),
            )
            for name, data in self.packed.items()
        }

    @cached_property
    def input_names(self) -> frozenset[str]:
        """The names of the network's inputs."""
        return frozenset(source.name for source in self.graph.inputs)

    @cached_property
    def members(self) -> dict[str, tuple[str, ...]]:
        """The tensors of every root, itself included."""
        found: dict[str, list[str]] = {}
        for name, place in self.place.items():
            found.setdefault(place.root, []).append(name)
        return {root: tuple(names) for root, names in found.items()}

    @cached_property
    def computed_from(self) -> frozenset[str]:
        """The tensors that some layer reads to compute, rather than to lie in a concatenation."""
        layers = (node for node in self.graph.nodes if node.is_computed)
        return frozenset(name for node in layers for name in node.inputs)

    @cached_property
    def load_bound(self) -> bool:
        """Whether the memory port takes longer for weights and inputs than the array computes."""
        return load_bound([self])

    @property
    def load_cycles(self) -> float:
        """Cycles that the memory port takes for all weights once, and all inputs."""
        graph = self.graph
        words = sum(self.row_words(source.name) * source.shape[1] for source in graph.inputs)
        return self.transfer_cycles(words) * self.batch + sum(map(self.weight_cycles, self.packed))

    @property
    def array_cycles(self) -> int:
        """Cycles that the array takes for a batch."""
        computed = (node for node in self.graph.nodes if node.is_computed)
        return self.batch * sum(self.compute_cycles(node, node.shape[1]) for node in computed)

    def compute_cycles(self, node: Conv | MaxPool, rows: int) -> int:
        """The cycles that the array takes for a strip of ``rows`` rows."""
        tile = self.tiles[node.name]
        count = -(-rows // tile.height) * -(-node.shape[2] // tile.width)
        return count * self.tile_cycles[node.name]

    def layout(self, name: str, rows: Rows, address: int, pitch: int, blocks: int) -> TensorLayout:
        """``rows`` of a tensor, the first at ``address``; ``blocks`` of it are there."""
        node, place = self.graph[name], self.place[name]
        number, width = passes(node, self.config), self.graph[place.root].shape[2]
        return TensorLayout(
            name=name,
            channels=place.segments,
            height=rows.count,
            width=node.shape[2],
            bits=self.config.result_bits if number > 1 else node.type.bits,
            signed=node.type.signed,
            exponent=node.type.exponent,
            address=address,
            pitch=pitch,
            block_step=width,
            passes=number,
            pass_step=blocks * width if number > 1 else 0,
            x_step=place.step[1],
            zero_point=node.type.zero_point,
        )


def load_bound(networks: Sequence[MappedNetwork]) -> bool:
    """Whether the memory port takes longer for weights and inputs than the array computes."""
    loads = sum(each.load_cycles for each in networks)
    return loads > LOAD_BOUND * sum(each.array_cycles for each in networks)


def network(
    graph: Graph,
    config: SvpeConfig,
    bytes_per_cycle: int,
    batch: int,
    like: MappedNetwork | None = None,
) -> MappedNetwork:
    """The network with its tiles and pitches chosen.

    ``like`` is one of a graph that shares layers with this one: their weights are packed already.
    """
    place = places(graph, config)
    layout = choose_layout(graph, place, config)
    packed = {
        conv.name: _packed(graph, conv, place, layout.tiles[conv.name], config, like)
        for conv in graph.convs
    }
    return MappedNetwork(
        graph=graph,
        config=config,
        place=place,
        pitches=layout.pitches,
        tiles=layout.tiles,
        packed=packed,
        bytes_per_cycle=bytes_per_cycle,
        # Once for each layer: the search asks for them thousands of times.
        tile_cycles=layout.tile_cycles,
        batch=batch,
    )


def _packed(graph, conv, place, tile, config, like):
    names = (conv.inputs[0], conv.name)
    given = tuple(place[name].segments for name in names)
    alike = like is not None and like.graph[conv.name] is conv
    if alike and like.tiles[conv.name].neighbours == tile.neighbours:
        types = [[source.type for source in each.sources(conv)] for each in (graph, like.graph)]
        # The epilogue folds in what the operands are.
        if types[0] == types[1] and given == tuple(like.place[name].segments for name in names):
            return like.packed[conv.name]
    own = place[conv.name]
    return pack_layer(graph, conv, *given, config, own.repeated, tile.neighbours)
