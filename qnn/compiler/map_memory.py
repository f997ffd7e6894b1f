"""Pass: where the network's inputs, outputs and spilled tensors lie in memory."""

from dataclasses import replace

from hw.spec.isa.buffers import Region
from hw.spec.tensors import TensorLayout
from qnn.compiler.choose_runs import Schedule
from qnn.compiler.compilation import Compilation
from qnn.compiler.network import MappedNetwork
from qnn.compiler.places import Map, Places
from qnn.compiler.runs import covers
from qnn.ir.rows import Rows


def map_memory(state: Compilation) -> Compilation:
    """The state with the place of every tensor that memory holds."""
    net, plan = state.network, state.plan
    names = [node.name for node in net.graph.inputs]
    inputs = _host_layouts(net, names, state.batch)
    outputs = _host_layouts(net, [output.name for output in net.graph.outputs], state.batch)
    scratch, scratch_words = _scratch(net, plan)
    places = Places(
        chip=state.chip,
        inputs=inputs,
        outputs=outputs,
        sources=tuple(_sources(net, scratch, row) for row in inputs),
        targets=tuple(_targets(net, scratch, row) for row in outputs),
        scratch_words=scratch_words,
    )
    return replace(state, places=places)


def _host_layouts(net: MappedNetwork, names: list[str], batch: int):
    """Tensors that the host has, one behind the other, for each image."""
    images, end = [], 0
    for _ in range(batch):
        row = []
        for name in names:
            row.append(_memory_layout(net, name, end))
            end += row[-1].words(net.config.lanes)
        images.append(tuple(row))
    return tuple(images)


def _memory_layout(net, name, address) -> TensorLayout:
    rows = Rows(0, net.graph[name].shape[1])
    blocks = net.place[name].blocks
    return net.layout(name, rows, address, net.row_words(name), blocks)


def _scratch(net: MappedNetwork, plan: Schedule):
    """First word of every root that lies in the scratch region, and the words of that."""
    inner = {node.name for run in plan.runs for node in run.nodes[:-1]}
    starts, end = {}, 0
    for root in dict.fromkeys(place.root for place in net.place.values()):
        is_read = any(name in net.computed_from for name in net.members[root])
        # Inside a run tensors never leave the chip; what nobody reads again only goes to the host.
        if root in plan.spilled and root not in inner and is_read:
            if root not in net.input_names:
                starts[root] = end
                end += net.row_words(root) * net.graph[root].shape[1]
    return starts, end


def _sources(net, scratch, inputs):
    """Where strips of each tensor are loaded from."""
    sources = {
        name: _scratch_map(net, scratch, name)
        for name, place in net.place.items()
        if place.root in scratch
    }
    for layout in inputs:
        # Inputs last: an input is read from where the host put it, whatever else is in memory.
        sources[layout.name] = Map(Region.INPUT, layout.address, layout.pitch)
    return sources


def _scratch_map(net, scratch, name):
    place = net.place[name]
    start = scratch[place.root] + place.first * net.graph[name].shape[2]
    return Map(Region.SCRATCH, start, net.row_words(place.root))


def _targets(net, scratch, outputs):
    """Where strips of each tensor are stored to."""
    targets = {}
    for name, place in net.place.items():
        maps = [_scratch_map(net, scratch, name)] if place.root in scratch else []
        for layout in outputs:
            outer = net.place[layout.name]
            # An output that is a concatenation is stored operand by operand, each as it is
            # computed.
            if outer.root == place.root and covers(outer, place):
                start = layout.address + (place.first - outer.first) * layout.width
                maps.append(Map(Region.OUTPUT, start, layout.pitch))
        targets[name] = tuple(maps)
    return targets
