"""From a legal graph to its image: layout, instructions, order, tokens, proof, bytes."""

from dataclasses import replace

import numpy as np

from hw.spec.config import SvpeConfig
from hw.spec.image import Image, Layer
from hw.spec.isa.buffers import Buffer
from hw.spec.isa.codes import integer
from hw.spec.isa.header import TAG_BITS, TOKEN_BITS
from qnn.compiler.add_tokens import add_tokens
from qnn.compiler.build_strips import build_strips, plan_strips
from qnn.compiler.check_program import check_program
from qnn.compiler.emit import behind_program, data_section, encode
from qnn.compiler.layouts import place_on_chip, private_roots, requests
from qnn.compiler.lower import Operands, lower
from qnn.compiler.pack_input import pack_input
from qnn.compiler.schedule import Transfers, schedule
from qnn.compiler.segments import block_count
from qnn.compiler.set_fences import set_fences
from qnn.compiler.storage import places
from qnn.compiler.tiles import choose_layout
from qnn.errors import CompileError
from qnn.ir.graph import Graph
from qnn.ir.ops import Conv, Input

TAGS = 1 << TAG_BITS
SURE_GAIN = 0.95  # of estimated cycles
MOST_OUTPUTS = (1 << TOKEN_BITS) - 1  # stored outputs of one image; each takes a token


def build_image(
    graph: Graph, config: SvpeConfig, batch: int, bytes_per_cycle: int | None = None
) -> Image:
    """Compile what the passes have made legal: all on chip, or, where that is too small, in strips.

    ``bytes_per_cycle`` is the memory's rate in each direction, by default the bus's.

    Raises
    ------
    CompileError
        Something does not fit; the text names the layer and the parameter of ``SvpeConfig``.
    """
    _check_widths(graph, config)
    _check_counts(graph, batch)
    packed, gather, choice = _packed(graph, config, batch)
    if choice is None:
        planned = _strips(graph, packed, config, bytes_per_cycle or config.bus_bytes)
        packed = planned.net.graph
        image = build_strips(planned, batch)
    else:
        image = _build_resident(packed, config, batch, *choice)
    image = _as_the_host_sees(image, graph, packed, gather if packed is not graph else None)
    check_program(image)
    return image


def _build_resident(graph, config, batch, layouts, tiles, private):
    workers = [node for node in graph.nodes if node.is_computed]
    works = [
        work
        for node in workers
        for work in lower(graph, node, _operands(node, layouts), tiles[node.name], config)
    ]
    data, memory = data_section(works, config)
    transfers = _transfers(graph, layouts, batch, private, config)
    layers = _layers(workers, layouts, batch)
    tags = {(layer.image, layer.name): layer.tag for layer in layers}
    program = schedule(works, _last_reader(graph, works), transfers, memory, tags, config)
    program, base = behind_program(set_fences(add_tokens(program, config), config))
    return _image(graph, config, batch, transfers, layers, encode(program), base, data)


def _operands(node, layouts):
    skip = node.skip if isinstance(node, Conv) else None
    return Operands(
        input=layouts[node.inputs[0]],
        output=layouts[node.name],
        skip=None if skip is None else layouts[skip],
    )


def _check_widths(graph, config):
    for node in graph.nodes:
        if isinstance(node, Conv) and (bits := _weight_bits(node, config)) > config.weight_bits:
            raise CompileError(
                f"conv '{node.name}' needs {bits}-bit weights, but the configuration "
                f"has {config.weight_bits} (SvpeConfig.weight_bits); raise it"
            )
        if node.rounded and node.type.bits > config.activation_bits:
            raise CompileError(
                f"tensor '{node.name}' needs {node.type.bits}-bit activations, but the "
                f"configuration has {config.activation_bits} (SvpeConfig.activation_bits); raise it"
            )


def _weight_bits(node, config):
    """Bits of the codes that hold the node's weights."""
    if config.pe == "shift":
        return node.weight_bits
    values = [integer(int(index)) for index in np.unique(node.codes)]
    return max(max(value, -1 - value).bit_length() + 1 for value in values)


def _check_counts(graph, batch):
    if len(graph.inputs) > 1:
        names = ", ".join(f"'{node.name}'" for node in graph.inputs)
        raise CompileError(
            f"the graph has the inputs {names}, but the accelerator loads one; join them on the "
            f"host"
        )
    if len(graph.outputs) > MOST_OUTPUTS:
        raise CompileError(
            f"the graph has {len(graph.outputs)} outputs, but the accelerator counts "
            f"{MOST_OUTPUTS} that wait to be stored; use fewer"
        )
    layers = sum(node.is_computed for node in graph.nodes)
    if layers * batch > TAGS:
        raise CompileError(
            f"{layers} layers in a batch of {batch} need {layers * batch} tags, but an instruction "
            f"counts {TAGS}; use a smaller batch"
        )


def _packed(graph, config, batch):
    """The graph with its input packed, how, and the layout; as it is where only so it fits."""
    packed, gather = pack_input(graph, config)
    choice = _choose(packed, config, batch)
    if choice is None and gather is not None:
        plain = _choose(graph, config, batch)
        if plain is not None:
            return graph, None, plain
    return packed, gather, choice


def _strips(graph, packed, config, bytes_per_cycle):
    """Strips of the graph, or of the one with a packed input where they are faster by far enough.

    What halos and waits cost is estimated, so that a small advantage may be none.
    """
    plain = plan_strips(graph, config, bytes_per_cycle)
    if packed is graph:
        return plain
    try:
        trial = plan_strips(packed, config, bytes_per_cycle)
    except CompileError:  # a row of its words is wider
        return plain
    return trial if trial.plan.cycles < SURE_GAIN * plain.plan.cycles else plain


def _as_the_host_sees(image, graph, packed, gather):
    """The image with how to gather its input, and the multiply-accumulates of ``graph``."""
    layers = [
        replace(layer, macs=layer.macs * graph[layer.name].codes.size // codes.size)
        if (codes := getattr(packed[layer.name], "codes", None)) is not None
        else layer
        for layer in image.layers
    ]
    inputs = tuple(replace(layout, gather=gather) for layout in image.inputs)
    return replace(image, inputs=inputs, layers=tuple(layers))


def _choose(graph, config, batch):
    """The first layout that fits: the fastest pitches, then rows without gaps. None if none."""
    place = places(graph, config)
    apart = private_roots(graph, place)
    for dense in (False, True):
        choice = choose_layout(graph, place, config, dense=dense)
        for private in (apart, frozenset()) if batch > 1 else (frozenset(),):
            needs = requests(graph, place, choice.pitches, config, private=private)
            layouts = place_on_chip(graph, place, choice.pitches, needs, config)
            if layouts is not None:
                return layouts, choice.tiles, private
    return None


def _transfers(graph, layouts, batch, private, config):
    chip = layouts[graph.inputs[0].name]
    names = [output.name for output in graph.outputs]
    inputs, outputs, end = [], [], 0
    for image in range(batch):
        inputs.append(replace(chip, address=image * chip.words(config.lanes)))
        row = []
        for name in names:
            row.append(_closed(layouts[name], end, config))
            end += row[-1].words(config.lanes)
        outputs.append(tuple(row))
    return Transfers(
        input_name=graph.inputs[0].name,
        input_chip=chip,
        input_memory=tuple(inputs),
        output_names=tuple(_finisher(graph, name) for name in names),
        output_chip=tuple(layouts[name] for name in names),
        output_memory=tuple(outputs),
        prefetch=chip.name in private and chip.name not in names,
    )


def _closed(layout, address, config):
    """The layout without gaps between rows."""
    block_step = layout.height * layout.width
    blocks = block_count(layout.channels, config.lanes)
    return replace(
        layout,
        address=address,
        pitch=layout.width,
        block_step=block_step,
        pass_step=blocks * block_step if layout.passes > 1 else 0,
    )


def _finisher(graph, name):
    """The node that writes the last part of a tensor; the input for what only it writes."""
    node = graph[name]
    while not (node.is_computed or isinstance(node, Input)):
        order = {n.name: position for position, n in enumerate(graph.nodes)}
        node = graph[max((_finisher(graph, o) for o in node.inputs), key=order.__getitem__)]
    return node.name


def _last_reader(graph, works):
    readers = {node.name for node in graph.users(graph.inputs[0].name)}
    return max((i for i, work in enumerate(works) if work.name in readers), default=-1)


def _layers(workers, layouts, batch):
    layers = []
    for image in range(batch):
        for node in workers:
            layer = Layer(
                tag=len(layers),
                name=node.name,
                op=node.kind,
                image=image,
                output=layouts[node.name],
                macs=node.macs,
            )
            layers.append(layer)
    return tuple(layers)


def _image(graph, config, batch, transfers, layers, program, base, data):
    word_bytes = Buffer.FEATURES.word_bytes(config)
    regions = [
        max((layout.address + layout.words(config.lanes) for layout in tensors), default=0)
        for tensors in (transfers.input_memory, sum(transfers.output_memory, ()))
    ]
    return Image(
        config=config,
        batch=batch,
        inputs=transfers.input_memory,
        outputs=sum(transfers.output_memory, ()),
        output_shapes=tuple(output.shape for output in graph.outputs),
        input_bytes=regions[0] * word_bytes,
        output_bytes=regions[1] * word_bytes,
        scratch_bytes=0,
        layers=layers,
        program_bytes=len(program),
        payload=program + bytes(base - len(program)) + data,
    )
