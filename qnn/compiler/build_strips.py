"""The image of a network that is larger than the chip: features and weights through memory."""

from dataclasses import dataclass, replace

from hw.spec.config import SvpeConfig
from hw.spec.image import Image, TensorLayout
from hw.spec.isa.buffers import Buffer, Region
from hw.spec.isa.end import End
from hw.spec.isa.header import TAG_BITS
from qnn.compiler.add_tokens import add_tokens
from qnn.compiler.allocate import Request, allocate
from qnn.compiler.choose_runs import Plan, check_rows, choose_runs
from qnn.compiler.emit import behind_program, data_section, encode
from qnn.compiler.hoist_loads import hoist_loads
from qnn.compiler.network import Network, network
from qnn.compiler.runs import covers, loaded, strip_buffers, strip_rows
from qnn.compiler.set_fences import set_fences
from qnn.compiler.stream_weights import stream_weights
from qnn.compiler.strips import STAYS, Map, Places, Spot, strips
from qnn.errors import CompileError
from qnn.ir.graph import Graph
from qnn.ir.ops import Concat, Input
from qnn.ir.rows import Rows

SHARES = (1.0, 0.9, 0.8, 0.7)  # of the chip that a plan may fill, until all finds an address


@dataclass(frozen=True)
class Strips:
    """A network, what runs in which strips, and the first word of all that is on chip."""

    net: Network
    plan: Plan
    chip: dict[Spot, int]


def plan_strips(graph: Graph, config: SvpeConfig, bytes_per_cycle: int) -> Strips:
    """Plan for a memory that gives and takes ``bytes_per_cycle``.

    Raises
    ------
    CompileError
        A single row of a layer does not fit; the text names the layer.
    """
    net = network(graph, config, bytes_per_cycle)
    return Strips(net, *_plan(net))


def build_strips(planned: Strips, batch: int) -> Image:
    """The image of what is planned.

    Raises
    ------
    CompileError
        The program does not fit its fields; the text names the layer.
    """
    net, plan, chip = planned.net, planned.plan, planned.chip
    config, graph = net.config, net.graph
    inputs, outputs = _host_layouts(net, batch)
    scratch, scratch_words = _scratch(net, plan)
    places = Places(
        chip=chip,
        sources=tuple(_sources(net, scratch, layout) for layout in inputs),
        targets=tuple(_targets(net, scratch, row) for row in outputs),
    )
    tasks, layers = strips(net, plan, places)
    _check_tags(len(layers))
    keys = dict.fromkeys(task.weights for task in tasks if task.weights)
    groups = {(name, number): net.packed[name][number] for name, number in keys}
    data, memory = data_section(list(groups.values()), config)
    program = hoist_loads(stream_weights(tasks, groups, memory, config), config)
    program.append(End())
    program, base = behind_program(set_fences(add_tokens(program, config), config))
    code = encode(program)
    word_bytes = Buffer.FEATURES.word_bytes(config)
    return Image(
        config=config,
        batch=batch,
        inputs=inputs,
        outputs=sum(outputs, ()),
        output_shapes=tuple(output.shape for output in graph.outputs),
        input_bytes=_words(inputs, config) * word_bytes,
        output_bytes=_words(sum(outputs, ()), config) * word_bytes,
        scratch_bytes=scratch_words * word_bytes,
        layers=layers,
        program_bytes=len(code),
        payload=code + bytes(base - len(code)) + data,
    )


def _plan(net: Network):
    """A plan and the address of everything that it has on chip."""
    words = net.config.feature_words
    for share in SHARES:
        plan = choose_runs(net, int(share * words))
        if plan is None:
            break
        chip = _allocate(net, plan)
        if chip is not None:
            return plan, chip
    # Where no tensor stays, a run has the chip for itself, and so always finds its addresses.
    plan = choose_runs(net, words, stays=False)
    if plan is None:
        check_rows(net)
    return plan, _allocate(net, plan)


def _allocate(net: Network, plan: Plan):
    """First words by ``Spot``; None if there is no room for all.

    What a run loads first is put where the run before has nothing, if there is such a place.
    """
    requests = {}
    for root, (first, last) in plan.alive(net).items():
        spot = Spot(STAYS, root, 0)
        requests[spot] = Request(spot, net.root_words(root), first, last)
    early = []
    for number, run in enumerate(plan.runs):
        needed = strip_rows(net, run.nodes, run.rows, plan.spilled)
        reads = loaded(net, run.nodes, plan.spilled)
        for buffer in strip_buffers(net, run, needed, plan.spilled):
            for copy in range(buffer.copies):
                spot = Spot(number, buffer.name, copy)
                requests[spot] = Request(spot, buffer.words, number, number)
                if copy == 0 and buffer.name in reads and number:
                    early.append(spot)
    chip = allocate(list(requests.values()), net.config.feature_words)
    for spot in early if chip is not None else ():
        wider = replace(requests[spot], first=spot.run - 1)
        trial = requests | {spot: wider}
        found = allocate(list(trial.values()), net.config.feature_words)
        if found is not None:
            requests, chip = trial, found
    return chip


def _host_layouts(net: Network, batch: int):
    """The network's input and outputs in memory, for each image."""
    config, graph = net.config, net.graph
    inputs, outputs, end = [], [], 0
    for image in range(batch):
        first = _memory_layout(net, graph.inputs[0].name, 0)
        inputs.append(_memory_layout(net, graph.inputs[0].name, image * first.words(config.lanes)))
        row = []
        for output in graph.outputs:
            row.append(_memory_layout(net, output.name, end))
            end += row[-1].words(config.lanes)
        outputs.append(tuple(row))
    return tuple(inputs), tuple(outputs)


def _memory_layout(net, name, address) -> TensorLayout:
    rows = Rows(0, net.graph[name].shape[1])
    blocks = net.place[name].blocks
    return net.layout(name, rows, address, net.row_words(name), blocks)


def _scratch(net: Network, plan: Plan):
    """First word of every root that lies in the scratch region, and the words of that."""
    inner = {node.name for run in plan.runs for node in run.nodes[:-1]}
    starts, end = {}, 0
    for root in dict.fromkeys(place.root for place in net.place.values()):
        members = [n for n, p in net.place.items() if p.root == root]
        is_read = any(
            not isinstance(user, Concat) for name in members for user in net.graph.users(name)
        )
        if root in plan.spilled and root not in inner and is_read:
            if not isinstance(net.graph[root], Input):
                starts[root] = end
                end += net.row_words(root) * net.graph[root].shape[1]
    return starts, end


def _sources(net, scratch, layout):
    """Where strips of each tensor are loaded from."""
    sources = {
        name: _scratch_map(net, scratch, name)
        for name, place in net.place.items()
        if place.root in scratch
    }
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
            if outer.root == place.root and covers(outer, place):
                start = layout.address + (place.first - outer.first) * layout.width
                maps.append(Map(Region.OUTPUT, start, layout.pitch))
        targets[name] = tuple(maps)
    return targets


def _words(layouts, config):
    return max((each.address + each.words(config.lanes) for each in layouts), default=0)


def _check_tags(count):
    if count > 1 << TAG_BITS:
        raise CompileError(
            f"the strips of all layers need {count} tags, but an instruction counts "
            f"{1 << TAG_BITS}; raise SvpeConfig.feature_words, or use a smaller batch"
        )
