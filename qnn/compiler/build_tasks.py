"""Pass: a plan as instructions, strip by strip: what each loads, computes and stores, in order."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil
from typing import NamedTuple

from hw.spec.isa.buffers import Buffer
from hw.spec.isa.header import TAG_BITS, Op
from hw.spec.isa.transfer import Transfer
from hw.spec.tensors import Layer, TensorLayout
from qnn.compiler.choose_runs import Schedule
from qnn.compiler.compilation import Compilation
from qnn.compiler.lower import Operands, lower
from qnn.compiler.network import MappedNetwork
from qnn.compiler.part import NetworkPart
from qnn.compiler.places import STAYS, Map, Places, Spot
from qnn.compiler.rows import without_gaps
from qnn.compiler.runs import (
    LayerRun,
    loaded,
    row_steps,
    slice_blocks,
    stationary,
    strip_buffers,
    strip_rows,
)
from qnn.compiler.segments import groups, part_of
from qnn.compiler.storage import RootPlace, lies_in
from qnn.compiler.task import Task
from qnn.errors import CompileError
from qnn.ir.ops import Conv, MaxPool, Operator
from qnn.ir.rows import Rows


def build_tasks(state: Compilation) -> Compilation:
    """The state with all tasks of the batch, and with what each of their tags computes.

    Raises
    ------
    CompileError
        There are more strips than tags; the text says what to change.
    """
    tasks, layers = [], []
    for part, turn in _turns(state.parts):
        for number, run in enumerate(part.plan.runs):
            for strip in _walk(part, turn, number, run):
                strip.emit(tasks, layers)
    _check_tags(len(layers))
    layers = tuple(_in_order(layer, state.orders) for layer in layers)
    return replace(state, tasks=tuple(tasks), layers=layers)


def _turns(parts: tuple[NetworkPart, ...]) -> list[tuple[NetworkPart, int]]:
    """Every turn of every part, as soon as all of its images are there."""
    turns = [(part, turn) for part in parts for turn in range(part.turns)]
    # Sorting keeps the order of those whose last image is the same.
    return sorted(turns, key=lambda each: (each[1] + 1) * each[0].images)


def _in_order(layer: Layer, orders: dict[str, tuple[int, ...]]) -> Layer:
    """The layer with the numbers that its channels have in the user's network."""
    order = orders.get(layer.name)
    if order is None:
        return layer
    return replace(layer, order=tuple(order[place] for place in layer.channels))


def _check_tags(count):
    if count > 1 << TAG_BITS:
        raise CompileError(
            f"the strips of all layers need {count} tags, but an instruction counts "
            f"{1 << TAG_BITS}; raise SvpeConfig.feature_words, or use a smaller batch"
        )


def _walk(part, turn, number, run) -> Iterator["_Strip"]:
    """Strips of one run; those of the first slice of channels first."""
    network, plan, places = part.network, part.plan, part.places
    needed = strip_rows(network, run.nodes, run.rows, plan.spilled)
    buffers = {b.name: b for b in strip_buffers(network, run, needed, plan.spilled)}
    count = 0
    for piece, blocks in enumerate(slice_blocks(network, run.last, run.slices)):
        # With one strip no weights come again: none has to be held.
        held = len(needed) > 1 and _holds(network, run)
        hold = (part.images, turn, number, piece) if held else None
        done = {node.name: 0 for node in run.nodes}
        for rows in needed:
            views = {
                name: _View(
                    # In turn: while one strip is computed from a copy, the next one is loaded into
                    # the other.
                    places.chip[Spot(number, name, count % buffer.copies)],
                    rows[name].first,
                    buffer.pitch,
                )
                for name, buffer in buffers.items()
            }
            yield _Strip(network, plan, places, turn, run, rows, views, blocks, hold, done)
            done = {name: max(stop, rows[name].stop) for name, stop in done.items()}
            count += 1


def _holds(network, run):
    return run.slices > 1 or stationary(network, run.nodes)


class _View(NamedTuple):
    """A tensor on chip: the word where row ``first`` begins."""

    address: int
    first: int
    pitch: int

    def behind(self, words: int) -> "_View":
        """The view of what lies so many words behind in each row."""
        return self._replace(address=self.address + words)

    def within(self, place: RootPlace) -> "_View":
        """The view of what has every ``step``-th pixel from ``offset`` on, from its row 0."""
        (top, left), down = place.offset, place.step[0]
        # Where its row 0 would begin, as the first row that is there may be a later one.
        address = self.address + (top - self.first) * self.pitch + left
        return _View(address, 0, down * self.pitch)


@dataclass(frozen=True, eq=False)
class _Strip:
    network: MappedNetwork
    plan: Schedule
    places: Places
    turn: int
    run: LayerRun
    rows: dict[str, Rows]
    views: dict[str, _View]
    blocks: tuple[int, int]  # of the last layer
    hold: tuple[int, ...] | None
    done: dict[str, int]  # rows that earlier strips have computed

    def emit(self, tasks: list[Task], layers: list[Layer]) -> None:
        # A load has the tag of the first computation behind it, so that a trace shows what it is
        # for.
        tag = len(layers)
        names = [*loaded(self.network, self.run.nodes, self.plan.spilled)]
        # An input that stays on chip as a part of another tensor is loaded all the same.
        names += [n.name for n in self.run.nodes if not n.inputs and n.name not in self.views]
        tasks += [self._task(self._load(name, tag)) for name in names if self.rows[name].count]
        for node in self.run.nodes:
            # Of an operand of an interleaving, a strip may have no row.
            if node.is_computed and self.rows[node.name].count:
                tasks += self._compute(node, len(layers))
                layers.append(self._layer(node, len(layers)))
        tasks += [self._task(store) for store in self._stores(tag)]

    @property
    def steps(self):
        return row_steps(self.network, self.run.nodes, self.plan.spilled)

    def _task(self, instruction, key=None):
        return Task(instruction, key, self.hold)

    def _view(self, name):
        """A strip's own buffer, or the whole tensor where it stays on chip, at its first block."""
        if name in self.views:
            return self.views[name]
        place, last = self.network.place[name], self.run.last.name
        width = self.network.graph[place.root].shape[2]
        if lies_in(self.network.graph[name], self.run.last) and last in self.views:
            before = place.first - self.network.place[last].first
            return self.views[last].behind(before * width).within(place)
        first = place.first + self._blocks(name)[0]
        address = self.places.chip[Spot(STAYS, place.root, 0)] + first * width
        return _View(address, 0, self.network.pitches[place.root]).within(place)

    def _layout(self, name, rows):
        view = self._view(name)
        address = view.address + (rows.first - view.first) * view.pitch
        first, stop = self._blocks(name)
        return self.network.layout(name, rows, address, view.pitch, stop - first)

    def _blocks(self, name):
        """The blocks of a tensor that this strip has."""
        is_last = name == self.run.last.name
        return self.blocks if is_last else (0, self.network.place[name].blocks)

    def _compute(self, node: Conv | MaxPool, tag: int) -> list[Task]:
        network = self.network
        rows = self.rows[node.name]
        height, *others = (source.shape[1] for source in network.graph.sources(node))
        if node.inputs[0] in self.steps:
            # On chip lie only the rows that are read, as many as the stride leaves.
            height = ceil(height / self.steps[node.inputs[0]])
            node = without_gaps(node)
        read, *others = node.rows_read(rows, (height, *others))
        result = self._layout(node.name, rows)
        first, stop = self._blocks(node.name)
        skips = [self._layout(*each) for each in zip(node.inputs[1:], others, strict=True)]
        operands = Operands(
            input=self._layout(node.inputs[0], read),
            # As if the blocks before were there: instructions count blocks from the tensor's first.
            output=replace(result, address=result.address - first * result.block_step),
            skip=skips[0] if skips else None,
        )
        instructions = lower(
            network.graph,
            node.strip(rows, read),
            operands,
            network.tiles[node.name],
            network.config,
            network.packed.get(node.name, ()),
            (first, stop),
        )
        instructions = [each.having(tag=tag) for each in instructions]
        if node.takes_maximum:
            return [self._task(instruction) for instruction in instructions]
        all_groups = groups(result.channels, network.config.lanes, network.config.rows)
        keys = [
            (node.name, number)
            for number, group in enumerate(all_groups)
            if first <= group.block < stop
        ]
        return [self._task(*each) for each in zip(instructions, keys, strict=True)]

    def _layer(self, node: Operator, tag: int) -> Layer:
        rows = self.rows[node.name]
        layout = self._layout(node.name, rows)
        lanes = self.network.config.lanes
        channel, segments = part_of(layout.channels, lanes, *self._blocks(node.name))
        # Rows that two strips both compute are work of the first one alone.
        new = rows.stop - max(rows.first, self.done[node.name])
        macs = node.macs * sum(segments) * new // (node.shape[0] * node.shape[1])
        return Layer(
            tag=tag,
            name=node.name,
            op=node.kind,
            image=self.turn,
            output=replace(layout, channels=segments),
            macs=macs,
            row=rows.first,
            channel=channel,
        )

    def _load(self, name, tag):
        source, rows = self.places.sources[self.turn][name], self.rows[name]
        layout, step = self._layout(name, rows), source.row_step
        step *= self.steps.get(name, 1)
        memory = Map(source.region, source.start + rows.first * step, step)
        return self._transfer(Op.LOAD, memory, layout, layout.address, self._row(name), tag)

    def _row(self, name):
        """The words that a row of this strip's blocks takes."""
        first, stop = self._blocks(name)
        return self.network.row_words(name) * (stop - first) // self.network.place[name].blocks

    def _stores(self, tag):
        name = self.run.last.name
        rows, layout = self.rows[name], self._layout(name, self.rows[name])
        first, stop = self._blocks(name)
        blocks = self.network.place[name].blocks
        # Of a part of the blocks, each pass lies apart from the next in memory.
        passes = 1 if stop - first == blocks else layout.passes
        for target in self.places.targets[self.turn].get(name, ()):
            start = target.start + rows.first * target.row_step + first * layout.block_step
            words = self._row(name) // passes
            for number in range(passes):
                place = target._replace(start=start + number * blocks * layout.block_step)
                address = layout.address + number * layout.pass_step
                yield self._transfer(Op.STORE, place, layout, address, words, tag)

    def _transfer(self, op, memory: Map, layout: TensorLayout, address, words, tag):
        size = Buffer.FEATURES.word_bytes(self.network.config)
        rows, pitch = layout.height, layout.pitch
        # Rows that follow each other in both memories are one long run: one burst after the other.
        if words == pitch == memory.row_step:
            words, rows = words * rows, 1
        return Transfer(
            op=op,
            region=memory.region,
            buffer=Buffer.FEATURES,
            address=address,
            words=words,
            rows=rows,
            # A step that is not used is 0, so that equal transfers are equal bytes.
            address_step=pitch if rows > 1 else 0,
            offset=memory.start * size,
            offset_step=memory.row_step * size if rows > 1 else 0,
            tag=tag,
        )
