"""Pass: where the network's inputs, outputs and spilled tensors lie in memory."""

from dataclasses import replace
from typing import TypeAlias

from hw.spec.isa.buffers import Region
from hw.spec.tensors import TensorLayout
from qnn.compiler.choose_runs import Schedule
from qnn.compiler.compilation import Compilation
from qnn.compiler.network import MappedNetwork
from qnn.compiler.part import NetworkPart
from qnn.compiler.places import Map, Memory, Places
from qnn.compiler.runs import covers
from qnn.compiler.stack_images import of_each_image
from qnn.ir.rows import Rows

Turns: TypeAlias = tuple[tuple[TensorLayout, ...], ...]


def map_memory(state: Compilation) -> Compilation:
    """The state with the place of every tensor that memory holds."""
    parts = state.parts
    inputs = _host_layouts(state, [_inputs(part) for part in parts])
    outputs = _host_layouts(state, [_outputs(part) for part in parts])
    scratches, end = [], 0
    for part in parts:
        scratch, end = _scratch(part.network, part.plan, end)
        scratches.append(scratch)
    # Between two parts lies one tensor, of all images.
    handed, placed = end, []
    end += state.batch * _handed_words(parts[0])
    for number, (part, scratch) in enumerate(zip(parts, scratches, strict=True)):
        turns = range(part.turns)
        places = Places(
            chip=part.chip,
            sources=tuple(_sources(part, scratch, inputs[number][n], handed, n) for n in turns),
            targets=tuple(_targets(part, scratch, outputs[number][n], handed, n) for n in turns),
        )
        placed.append(replace(part, places=places))
    memory = Memory(
        inputs=_by_image(parts, inputs, [node.name for node in state.graph.inputs]),
        outputs=_by_image(parts, outputs, [output.name for output in state.graph.outputs]),
        scratch_words=end,
    )
    return replace(state, parts=tuple(placed), memory=memory)


def _inputs(part: NetworkPart) -> list[str]:
    return [node.name for node in part.graph.inputs if node.name != part.takes]


def _outputs(part: NetworkPart) -> list[str]:
    return [output.name for output in part.graph.outputs if output.name != part.gives]


def _host_layouts(state: Compilation, names: list[list[str]]) -> list[Turns]:
    """Tensors that the host has, one behind the other, of each part, for each of its turns."""
    parts, end = [], 0
    for part, own in zip(state.parts, names, strict=True):
        turns = []
        for _ in range(part.turns):
            row = []
            for name in own:
                row.append(_memory_layout(part.network, name, end))
                end += row[-1].words(state.config.lanes)
            turns.append(tuple(row))
        parts.append(tuple(turns))
    return parts


def _by_image(parts: tuple[NetworkPart, ...], layouts: list[Turns], names: list[str]) -> Turns:
    """What all parts have of each image, in the order of some names."""
    found: list[tuple[TensorLayout, ...]] = []
    for part, turns in zip(parts, layouts, strict=True):
        images: list[tuple[TensorLayout, ...]] = []
        for row in turns:
            gathered = (replace(each, gather=part.gathers.get(each.name)) for each in row)
            each_image = [of_each_image(layout, part.images) for layout in gathered]
            images += zip(*each_image, strict=True) if row else [()] * part.images
        found = [a + b for a, b in zip(found, images, strict=True)] if found else images
    return tuple(_in_order(row, names) for row in found)


def _in_order(row, names):
    """The layouts of some names, one of which may be there twice."""
    of = {name: iter([each for each in row if each.name == name]) for name in names}
    return tuple(next(of[name]) for name in names)


def _memory_layout(net, name, address) -> TensorLayout:
    rows = Rows(0, net.graph[name].shape[1])
    blocks = net.place[name].blocks
    return net.layout(name, rows, address, net.row_words(name), blocks)


def _scratch(net: MappedNetwork, plan: Schedule, end: int):
    """First word of every root that lies in the scratch region from ``end`` on, and its new end."""
    inner = {node.name for run in plan.runs for node in run.nodes[:-1]}
    starts = {}
    for root in dict.fromkeys(place.root for place in net.place.values()):
        is_read = any(name in net.computed_from for name in net.members[root])
        # Inside a run tensors never leave the chip; what nobody reads again only goes to the host.
        if root in plan.spilled and root not in inner and is_read:
            if root not in net.input_names:
                starts[root] = end
                end += net.row_words(root) * net.graph[root].shape[1]
    return starts, end


def _handed_words(part: NetworkPart) -> int:
    """Words of an image of the tensor that a part leaves for the one behind."""
    if part.gives is None:
        return 0
    return part.network.row_words(part.gives) * part.graph[part.gives].shape[1]


def _handed_map(part: NetworkPart, name: str, first: int, turn: int) -> Map:
    """Where a turn of a part finds, or leaves, the tensor between it and another."""
    step, rows = part.network.row_words(name), part.graph[name].shape[1]
    return Map(Region.SCRATCH, first + turn * rows * step, step)


def _sources(part, scratch, inputs, handed, turn):
    """Where strips of each tensor are loaded from."""
    net = part.network
    sources = {
        name: _scratch_map(net, scratch, name)
        for name, place in net.place.items()
        if place.root in scratch
    }
    for layout in inputs:
        # Inputs last: an input is read from where the host put it, whatever else is in memory.
        sources[layout.name] = Map(Region.INPUT, layout.address, layout.pitch)
    if part.takes is not None:
        sources[part.takes] = _handed_map(part, part.takes, handed, turn)
    return sources


def _scratch_map(net, scratch, name):
    place = net.place[name]
    start = scratch[place.root] + place.first * net.graph[name].shape[2]
    return Map(Region.SCRATCH, start, net.row_words(place.root))


def _targets(part, scratch, outputs, handed, turn):
    """Where strips of each tensor are stored to."""
    net, targets = part.network, {}
    for name, place in net.place.items():
        maps = [_scratch_map(net, scratch, name)] if place.root in scratch else []
        for layout in outputs:
            outer = net.place[layout.name]
            # An output that is a concatenation is stored operand by operand, each as it is
            # computed.
            if outer.root == place.root and covers(outer, place):
                start = layout.address + (place.first - outer.first) * layout.width
                maps.append(Map(Region.OUTPUT, start, layout.pitch))
        if name == part.gives:
            maps.append(_handed_map(part, name, handed, turn))
        targets[name] = tuple(maps)
    return targets
