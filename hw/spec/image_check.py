"""What holds of an image besides the kinds of its fields: all that its readers rely on.

An image that passes can be listed, simulated and driven without any other error than those that a
run itself has, in memory and time that its own size bounds. Each rule refuses by a ``ValueError``
that names the field.
"""

from math import prod

from hw.spec.image import Image
from hw.spec.isa.buffers import Buffer, Region
from hw.spec.isa.encoding import InstructionError
from hw.spec.isa.end import End
from hw.spec.isa.header import INSTRUCTION_BYTES
from hw.spec.isa.tiles import Tiles
from hw.spec.isa.transfer import Transfer
from hw.spec.tensors import Layer, TensorLayout
from qnn.ir.shape import AXES, fits_axes, fits_joins, fits_output

PIXELS = 256  # that 8 bits tell apart
# A simulator works out all reads of an instruction at once: real ones have some 100,000.
MOST_READS = 1 << 24
MOST_VALUES = 1 << 26  # of a packed tensor before its words were gathered: 8,192 x 8,192


def check_image(image: Image) -> None:
    """Return if the image is whole.

    Raises
    ------
    ValueError
        A rule is broken.
    """
    _check_counts(image)
    _check_region(image, "input", image.inputs, image.input_bytes)
    _check_region(image, "output", image.outputs, image.output_bytes)
    _check_tables(image)
    _check_axes(image)
    for number, layer in enumerate(image.layers):
        _require(layer.tag == number, f"layers[{number}].tag", number, layer.tag)
        _check_layer(image, layer, f"layers[{number}]")
    _check_tensors(image)
    _check_program(image)


def _require(holds, place, needs, got):
    if not holds:
        raise ValueError(f"{place} needs {needs}, not {got}")


def _check_counts(image):
    known = len(image.input_axes)
    _require(known, "input_axes", "an entry for each input", "none")
    _require(image.output_shapes, "output_shapes", "an entry for each output", "none")
    for name, count, wanted in (
        ("inputs", len(image.inputs), image.batch * known),
        ("pixel_tables", len(image.pixel_tables), known),
        ("outputs", len(image.outputs), image.batch * len(image.output_shapes)),
        ("output_axes", len(image.output_axes), len(image.output_shapes)),
    ):
        _require(count == wanted, name, f"{wanted} entries", count)
    whole = image.program_bytes % INSTRUCTION_BYTES == 0
    needs = f"whole instructions within the payload of {len(image.payload)} bytes"
    within = 0 < image.program_bytes <= len(image.payload)
    _require(whole and within, "program_bytes", needs, image.program_bytes)


def _check_layout(image: Image, layout: TensorLayout, place, words):
    """Refuse a tensor that overlaps itself or leaves the ``words`` of where it lies."""
    config = image.config
    _require(layout.name, f"{place}.name", "a name", "none")
    _require(layout.channels, f"{place}.channels", "a count for each segment", "none")
    half = 1 << (layout.bits - 1)
    inside = abs(layout.zero_point) < half if layout.signed else layout.zero_point == 0
    needs = f"one from {1 - half} to {half - 1}, and 0 of an unsigned tensor"
    _require(inside, f"{place}.zero_point", needs, layout.zero_point)
    most = config.passes
    _require(layout.passes <= most, f"{place}.passes", f"at most {most}", layout.passes)
    slices = layout.passes * config.activation_bits
    _require(layout.bits <= slices, f"{place}.bits", f"at most {slices}", layout.bits)
    end = layout.address + layout.words(config.lanes)
    _require(end <= words, f"{place}.address", f"all words within {words}", f"up to {end}")
    # Words that hold several values would let a few bytes stand for any number of them.
    least = layout.row_words
    for what, step in (
        ("pitch", layout.pitch if layout.height > 1 else None),
        ("block_step", layout.block_step if _blocks(layout, config) > 1 else None),
        ("pass_step", layout.pass_step if layout.passes > 1 else None),
    ):
        _require(step is None or step >= least, f"{place}.{what}", f"at least {least}", step)
    values = sum(layout.channels) * layout.height * layout.width * layout.passes
    room = layout.words(config.lanes) * config.lanes
    _require(values <= room, f"{place}.height", f"at most {room} values in its words", values)


def _blocks(layout, config):
    return sum(-(-count // config.lanes) for count in layout.channels)


def _check_region(image, name, layouts, size):
    word_bytes = Buffer.FEATURES.word_bytes(image.config)
    words = size // word_bytes
    for number, layout in enumerate(layouts):
        place = f"{name}s[{number}]"
        _check_layout(image, layout, place, words)
        # Images of a batch are alike but for their addresses.
        first = layouts[number % (len(layouts) // image.batch)]
        same = _told(layout) == _told(first)
        _require(same, place, f"what the first image has, '{first.name}'", f"'{layout.name}'")
        _check_gather(layout, place, may=name == "input")
    used = max(layout.address + layout.words(image.config.lanes) for layout in layouts)
    _require(size == used * word_bytes, f"{name}_bytes", used * word_bytes, size)


def _told(layout):
    """What a user sees of a tensor, wherever it lies."""
    type = (layout.bits, layout.signed, layout.zero_point, layout.exponent)
    return layout.name, layout.shape, type


def _check_gather(layout, place, may):
    gather = layout.gather
    if gather is None:
        return
    _require(may, f"{place}.gather", "null", "a gather")
    wanted = gather.shape[0] * prod(gather.taps)
    got = sum(layout.channels)
    _require(got == wanted, f"{place}.channels", f"{wanted} in all, those of its taps", got)
    values = prod(gather.shape)
    _require(values <= MOST_VALUES, f"{place}.gather.shape", f"at most {MOST_VALUES}", values)
    # Places are sums of these, in 64 bits.
    most = max(map(abs, (*gather.first, *gather.step, *gather.dilation)))
    _require(most <= MOST_VALUES, f"{place}.gather", f"steps of at most {MOST_VALUES}", most)


def _check_tables(image):
    for number, (layout, table) in enumerate(
        zip(image.network_inputs, image.pixel_tables, strict=True)
    ):
        if table is None:
            continue
        place, channels = f"pixel_tables[{number}]", layout.shape[0]
        whole = len(table) == channels and all(len(row) == PIXELS for row in table)
        _require(whole, place, f"{channels} rows of {PIXELS}", f"{len(table)} rows")
        low, high = layout.limits
        least, most = min(map(min, table)), max(map(max, table))
        inside = low <= least and most <= high
        _require(inside, place, f"integers from {low} to {high}", f"{least} to {most}")


def _check_axes(image):
    for number, (layout, axes) in enumerate(
        zip(image.network_inputs, image.input_axes, strict=True)
    ):
        fits = fits_axes(layout.shape, axes)
        needs = f"one of {', '.join(AXES)} that fits {layout.shape}"
        _require(fits, f"input_axes[{number}]", needs, axes)
    for number, layout in enumerate(image.network_outputs):
        axes, shape = image.output_axes[number], image.output_shapes[number]
        wanted = prod(layout.shape)
        place = f"output_shapes[{number}]"
        _require(prod(shape) == wanted, place, f"the {wanted} values of its tensor", shape)
        if axes is not None:
            fits = fits_output(layout.shape, axes, shape)
            needs = f"null, or axes of {shape} from {layout.shape}"
            _require(fits, f"output_axes[{number}]", needs, axes)
    follow = fits_joins(image.output_shapes, image.output_axes)
    needs = "outputs that continue the one before along its axis"
    _require(follow, "output_axes", needs, image.output_axes)
    if image.host is not None:
        # Both raise ValueError with a text of their own.
        image.host_program.shapes(image.output_tensors)


def _check_layer(image, layer: Layer, place):
    _require(layer.name, f"{place}.name", "a name", "none")
    needs, last = f"less than the batch of {image.batch}", layer.by_image[-1].image
    _require(last < image.batch, f"{place}.image", needs, last)
    _check_layout(image, layer.output, f"{place}.output", image.config.feature_words)
    _require(layer.output.gather is None, f"{place}.output.gather", "null", "a gather")
    if layer.order is not None:
        count = sum(layer.output.channels)
        whole = len(set(layer.order)) == len(layer.order) == count
        _require(whole, f"{place}.order", f"{count} channels, each once", len(layer.order))


def _check_tensors(image):
    """Refuse parts that are not of one tensor, or that leave most of it out."""
    parts: dict[tuple[str, int], list[tuple[Layer, slice]]] = {}
    for layer in image.layers:
        for number, _, rows in layer.by_image:
            parts.setdefault((layer.name, number), []).append((layer, rows))
    first_of: dict[str, Layer] = {}
    for (name, number), layers in parts.items():
        first = first_of.setdefault(name, layers[0][0])
        for layer, _ in layers:
            kind = (layer.op, layer.output.width, layer.output.bits, layer.output.offset)
            wanted = (first.op, first.output.width, first.output.bits, first.output.offset)
            same = (kind, layer.output.passes) == (wanted, first.output.passes)
            needs = f"the kind and width that layers[{first.tag}] of '{name}' has"
            _require(same, f"layers[{layer.tag}]", needs, kind)
        rows = max(each.stop for _, each in layers)
        channels = 1 + max(max(layer.channels) for layer, _ in layers)
        held = sum(len(layer.channels) * (each.stop - each.start) for layer, each in layers)
        needs = f"parts of all {channels} channels x {rows} rows of image {number}"
        _require(channels * rows <= held, f"layer '{name}'", needs, f"{held} rows of channels")


def _check_program(image):
    stored, ended = 0, False
    for number, instruction in enumerate(image.program):
        place = f"instruction {number}"
        try:
            instruction.check(image.config)
            _check_instruction(image, instruction)
        except (InstructionError, ValueError, ZeroDivisionError) as error:
            raise ValueError(f"{place}: {error}") from None
        if isinstance(instruction, Transfer) and instruction.region is Region.SCRATCH:
            stored = max(stored, instruction.in_memory(image.config).stop)
        # What stands behind an END never runs, though it would seem to compute its layer.
        is_end = isinstance(instruction, End)
        _require(is_end or not ended, place, "END, as the program ended", instruction.op.name)
        ended = is_end
    _require(ended, "program", "END as its last instruction", "another")
    needs = f"at most the {stored} bytes that transfers reach"
    _require(image.scratch_bytes <= stored, "scratch_bytes", needs, image.scratch_bytes)


def _check_instruction(image, instruction):
    if isinstance(instruction, Transfer):
        region, end = instruction.region, instruction.in_memory(image.config).stop
        size = image.region_bytes(region)
        _require(end <= size, "Transfer offset", f"all within {size} bytes of {region.name}", end)
        words = instruction.buffer.words(image.config)
        _require(instruction.words * instruction.rows <= words, "Transfer rows", words, "more")
    if isinstance(instruction, Tiles):
        known = len(image.layers)
        _require(instruction.tag < known, "tag", f"one of {known} layers", instruction.tag)
        reads = instruction.tiles * instruction.steps * instruction.columns
        _require(reads <= MOST_READS, "Tiles", f"at most {MOST_READS} reads", reads)
