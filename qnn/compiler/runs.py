"""Runs, which others call fused groups: layers that are computed together, strip by strip."""

from dataclasses import dataclass
from itertools import pairwise
from math import ceil, inf, prod
from typing import NamedTuple

from hw.spec.isa.header import TOKEN_BITS
from qnn.compiler.network import MappedNetwork
from qnn.compiler.rows import rows_by_strip
from qnn.compiler.segments import groups
from qnn.compiler.storage import RootPlace, lies_in
from qnn.ir.ops import Conv, Operator
from qnn.ir.rows import Rows

# 16 less than a counter holds: other transfers give tokens that wait at the same time.
MOST_STRIPS = (1 << TOKEN_BITS) - 16  # of a run: the store of each may give a token that waits
# The estimated wait for results to land, per layer and strip: tokens and pipeline. Measured by the
# cycle model: with 32, 64 and 128, ResNet-18 takes 1,014,779, 1,017,987 and 1,019,026 cycles, and
# ResNet-20 in 1,024 feature words 28,222, 29,361 and 30,632. Of other networks some take more
# with 32 than with 64, some less.
STRIP_CYCLES = 64


@dataclass(frozen=True)
class LayerRun:
    """A run: layers computed one after the other for each strip of rows of the last one.

    Only the last one's results leave the run. Weights of a run that fit on chip stay there for all
    strips; with ``slices`` over 1, those of a part of the channels do, and strips come again for
    each part. Two ``copies`` of strip buffers let transfers overlap computation.
    """

    nodes: tuple[Operator, ...]
    rows: int
    copies: int
    slices: int = 1

    @property
    def last(self) -> Operator:
        """The layer whose results leave the run."""
        return self.nodes[-1]


@dataclass(frozen=True)
class StripBuffer:
    """``rows`` rows of a tensor on chip, a copy for every other strip if there are two."""

    name: str
    rows: int
    pitch: int
    copies: int

    @property
    def words(self) -> int:
        """The words of one copy."""
        return self.rows * self.pitch


@dataclass(frozen=True)
class Choice:
    """The best run of some layers, and its estimated cycles; ``missing`` words if none fits."""

    run: LayerRun | None
    cycles: float
    missing: int = 0


def loaded(
    network: MappedNetwork, nodes: tuple[Operator, ...], spilled: frozenset[str]
) -> tuple[str, ...]:
    """Tensors that a run reads from memory."""
    own = {node.name for node in nodes}
    names = [name for node in nodes for name in node.inputs if name not in own]
    names += [node.name for node in nodes if not node.inputs]
    return tuple(n for n in dict.fromkeys(names) if network.place[n].root in spilled)


def row_steps(
    network: MappedNetwork, nodes: tuple[Operator, ...], spilled: frozenset[str]
) -> dict[str, int]:
    """Tensors of which a run loads every n-th row alone, as a 1x1 layer of stride n needs."""
    steps = {}
    for name in loaded(network, nodes, spilled):
        readers = [node for node in nodes if name in node.inputs]
        if len(readers) == 1 and readers[0].inputs.count(name) == 1:
            (reader,) = readers
            # A skip operand is read at every row, whatever the stride.
            if reader.inputs[0] == name and reader.window.row_step > 1:
                steps[name] = reader.window.row_step
    return steps


def strip_rows(
    network: MappedNetwork, nodes: tuple[Operator, ...], size: int, spilled: frozenset[str]
) -> tuple[dict[str, Rows], ...] | None:
    """Rows of every tensor on chip, for each strip of ``size`` rows; see ``rows_by_strip``."""
    return rows_by_strip(network.graph, nodes, size, row_steps(network, nodes, spilled))


def slice_blocks(
    network: MappedNetwork, node: Operator, slices: int
) -> tuple[tuple[int, int], ...]:
    """First and past the last block of each slice of a layer's channels."""
    blocks = network.place[node.name].blocks
    bounds = [blocks * number // slices for number in range(slices + 1)]
    return tuple(pairwise(bounds))


def strip_buffers(
    network: MappedNetwork,
    run: LayerRun,
    needed: tuple[dict[str, Rows], ...],
    spilled: frozenset[str],
) -> tuple[StripBuffer, ...]:
    """What the strips of a run need on chip, besides tensors that stay there."""
    most = {name: max(each[name].count for each in needed) for name in needed[0]}
    # One strip is loaded once: a second copy would be room for nothing.
    copies = run.copies if len(needed) * run.slices > 1 else 1
    steps = row_steps(network, run.nodes, spilled)
    buffers = [
        StripBuffer(name, most[name], network.pitch(name, steps.get(name, 1)), copies)
        for name in loaded(network, run.nodes, spilled)
    ]
    last = run.last
    # Operands of what joins them are computed in its buffer.
    inner = (node for node in run.nodes[:-1] if not lies_in(node, last))
    buffers += [StripBuffer(n.name, most[n.name], network.pitch(n.name), 1) for n in inner]
    if network.place[last.name].root in spilled and last.inputs:
        pitch = network.pitch(last.name)
        if run.slices > 1:
            widest = max(b - a for a, b in slice_blocks(network, last, run.slices))
            pitch = network.slice_pitch(last.name, widest)
        buffers.append(StripBuffer(last.name, most[last.name], pitch, copies))
    return tuple(buffers)


def stores(network: MappedNetwork, name: str, spilled: frozenset[str]) -> int:
    """How often a tensor's strips are stored: for later layers, and for outputs of the network."""
    graph, place = network.graph, network.place
    root = place[name].root
    members = [n for n in network.members[root] if covers(place[n], place[name])]
    is_read = any(member in network.computed_from for member in members)
    outputs = sum(output.name in members for output in graph.outputs)
    source = not graph[name].inputs
    return outputs + (is_read and root in spilled and not source)


def covers(outer: RootPlace, inner: RootPlace) -> bool:
    """Whether a tensor holds another one of its root."""
    return outer.first <= inner.first < outer.first + outer.blocks


def least_rows(node: Operator) -> int:
    """The least rows of a strip of ``node``: one, except for very high images."""
    return ceil(node.shape[1] / MOST_STRIPS)


@dataclass(frozen=True)
class Candidate:
    """A run of some layers, the words of its strip buffers, and its estimated cycles."""

    run: LayerRun
    words: int
    cycles: float


def candidates(
    network: MappedNetwork, nodes: tuple[Operator, ...], spilled: frozenset[str]
) -> tuple[Candidate, ...]:
    """Every run of some layers that is worth a look, those of fewer and larger strips first."""
    found = []
    for rows in _heights(network, nodes, spilled):
        needed = strip_rows(network, nodes, rows, spilled)
        if needed is None:
            continue
        times = _times(network, nodes, needed, spilled)
        for run in _variants(network, nodes, rows, len(needed)):
            words = sum(b.words * b.copies for b in strip_buffers(network, run, needed, spilled))
            found.append(Candidate(run, words, _cycles(network, run, len(needed), times)))
    return tuple(found)


def best_run(among: tuple[Candidate, ...], space: int) -> Choice:
    """The run of least estimated cycles whose buffers fit in ``space`` words."""
    # -1 says that no height of strips is possible at all, whatever the space.
    if not among:
        return Choice(None, inf, missing=-1)
    fitting = [each for each in among if each.words <= space]
    if not fitting:
        return Choice(None, inf, missing=min(each.words for each in among) - space)
    # Of equals the first, which has fewer and larger strips.
    best = min(fitting, key=lambda each: each.cycles)
    return Choice(best.run, best.cycles)


def _heights(network, nodes, spilled):
    """The heights of strips that give different numbers of strips."""
    last, height = nodes[-1], nodes[-1].shape[1]
    if not loaded(network, nodes, spilled) and network.place[last.name].root not in spilled:
        return [height]
    step = _row_step(network, last)
    counts = range(1, height + 1)
    sizes = (min(height, ceil(ceil(height / count) / step) * step) for count in counts)
    # By count of strips, not by rows: most heights differ from a neighbour in nothing.
    return [n for n in dict.fromkeys([*sizes, least_rows(last)]) if ceil(height / n) <= MOST_STRIPS]


def _row_step(network, last):
    """The rows that strips are cut at: whole tiles, of an interleaving its largest operand's."""
    graph, tiles = network.graph, network.tiles
    if last.interleaves:
        # Others may be a border of one column, with tiles as high as there are columns.
        return last.step[0] * max((prod(graph[n].shape), tiles[n].height) for n in last.inputs)[1]
    computed = (last.name,) if last.is_computed else last.inputs
    return max((tiles[name].height for name in computed), default=1)


def _variants(network, nodes, rows, strips):
    """The runs of one height: of equal ones, the first is taken."""
    # Two copies before one: where both fit, overlapped transfers cost nothing.
    yield LayerRun(nodes, rows, 2)
    yield LayerRun(nodes, rows, 1)
    for slices in _slice_counts(network, nodes, strips):
        yield LayerRun(nodes, rows, 2, slices)
        yield LayerRun(nodes, rows, 1, slices)


def _slice_counts(network, nodes, strips):
    """The fewest slices, two or more, that let the weights of each stay on chip; or nothing."""
    if len(nodes) > 1 or not isinstance(nodes[0], Conv) or strips == 1:
        return
    blocks = network.place[nodes[0].name].blocks
    for slices in range(2, blocks + 1):
        if slices * strips > MOST_STRIPS:
            return
        if all(_stays(network, words) for words in _slice_words(network, nodes[0], slices)):
            yield slices
            return


def _slice_words(network, node, slices):
    """Weight words and parameter words of each slice."""
    config = network.config
    all_groups = groups(network.place[node.name].segments, config.lanes, config.rows)
    for first, stop in slice_blocks(network, node, slices):
        data = [
            d
            for group, d in zip(all_groups, network.packed[node.name], strict=True)
            if first <= group.block < stop
        ]
        yield sum(d.words for d in data), len(data)


def _stays(network, words):
    return words[0] <= network.config.weight_words and words[1] <= network.config.parameter_words


def stationary(network: MappedNetwork, nodes: tuple[Operator, ...]) -> bool:
    """Whether the weights of all layers of a run fit on chip at a time."""
    words = [network.weight_words(node.name) for node in nodes]
    return _stays(network, tuple(map(sum, zip(*words, strict=True))))


class _Times(NamedTuple):
    """Cycles of all strips of one height, whatever the copies and slices."""

    computed: int
    read: float  # without weights
    first: float  # read before anything is computed
    written: float
    last: float  # written after everything is computed
    weights: float  # all of them once


def _times(network, nodes, needed, spilled):
    works, last = [node for node in nodes if node.is_computed], nodes[-1].name
    moved = {name: network.row_words(name) for name in loaded(network, nodes, spilled)}
    stored = stores(network, last, spilled) * network.row_words(last)
    reads = (sum(each[name].count * words for name, words in moved.items()) for each in needed)
    read = [network.transfer_cycles(words) for words in reads]
    written = [network.transfer_cycles(each[last].count * stored) for each in needed]
    # All images but the first of a batch are loaded while the one before is computed.
    images = network.batch if network.input_names.issuperset(moved) else 1
    counts = (network.compute_cycles(n, each[n.name].count) for each in needed for n in works)
    weights = sum(network.weight_cycles(node.name) for node in nodes)
    # Where loads are the limit throughout, an early start gains nothing.
    first = 0 if network.load_bound else read[0] / images
    return _Times(sum(counts), sum(read), first, sum(written), written[-1], weights)


def _cycles(network, run, strips, times):
    """The slowest of array, reads and writes, and what of the transfers nothing hides."""
    # Weights that do not stay come again with every strip.
    again = 1 if run.slices > 1 or stationary(network, run.nodes) else strips
    overhead = STRIP_CYCLES * strips * run.slices * len(run.nodes)
    sums = (times.computed, run.slices * times.read + again * times.weights, times.written)
    if run.copies == 1 and strips * run.slices > 1:
        return sum(sums) + overhead
    return max(sums) + times.first + times.last + overhead
