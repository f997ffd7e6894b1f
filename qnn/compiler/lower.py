"""One TILES instruction for each group of output channels of each layer."""

from dataclasses import dataclass, replace

from hw.spec.config import ADDRESS_BITS, COLUMN_STEPS, SvpeConfig
from hw.spec.image import TensorLayout
from hw.spec.isa.buffers import Buffer
from hw.spec.isa.encoding import TILES
from hw.spec.isa.header import Op
from qnn.compiler.epilogue import fold
from qnn.compiler.program import Instruction, Span
from qnn.compiler.segments import Group, Segments, blocks_read, groups
from qnn.compiler.storage import passes
from qnn.compiler.tiles import Tile
from qnn.compiler.words import pack_parameters, pack_weights, weight_words
from qnn.errors import CompileError
from qnn.ir.graph import Graph
from qnn.ir.ops import Conv, MaxPool

COORDINATE_LIMIT = 2047


@dataclass(frozen=True, eq=False, kw_only=True)
class Work:
    """An instruction before its weights have an address."""

    name: str
    instruction: Instruction
    weight_words: int = 0
    weights: bytes = b""
    parameters: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Operands:
    """Where a layer reads and writes."""

    input: TensorLayout
    output: TensorLayout
    skip: TensorLayout | None = None


@dataclass(frozen=True, eq=False)
class GroupData:
    """What one group of a layer loads: ``words`` weight words, and one parameter word."""

    words: int
    weights: bytes
    parameters: bytes


def pack_layer(
    graph: Graph, node: Conv, operand: Segments, result: Segments, config: SvpeConfig
) -> tuple[GroupData, ...]:
    """The data of every group, in the order of ``groups``."""
    epilogue = fold(graph, node)
    packed = []
    for group in groups(result, config.lanes, config.rows):
        words = weight_words(node, group, operand, config)
        parameters = pack_parameters(epilogue, group, config)
        packed.append(GroupData(len(words), pack_weights(words, config), parameters))
    return tuple(packed)


def lower(
    graph: Graph,
    node: Conv | MaxPool,
    layouts: Operands,
    tile: Tile,
    config: SvpeConfig,
    packed: tuple[GroupData, ...] | None = None,
    blocks: tuple[int, int] | None = None,
) -> list[Work]:
    """The instructions of one layer; they need no order among themselves.

    Parameters
    ----------
    packed : what ``pack_layer`` gives for the layer, where it is known already
    blocks : of a convolution, first and past the last block to compute; None for all
    """
    fields = {field.name: 0 for field in TILES.fields} | _loops(node, tile)
    fields |= _input(graph, node, layouts.input, tile)
    fields |= _output(node, layouts.output, tile, config)
    _check_coordinates(node, fields)
    if isinstance(node, MaxPool):
        works = _max_pool(node, layouts, config, fields)
    else:
        operand, result = layouts.input, layouts.output
        packed = packed or pack_layer(graph, node, operand.channels, result.channels, config)
        works = _conv(graph, node, layouts, tile, config, fields, packed, blocks)
    for work in works:
        _check_fields(node, work.instruction.fields)
    return works


def _max_pool(node, layouts, config, fields):
    operand, result = layouts.input, layouts.output
    works = []
    for group in groups(operand.channels, config.lanes, config.lanes):
        fields_ = {**fields, "op": Op.MAXPOOL, "blocks": 1, "terms": 1}
        fields_["input_address"] += group.block * operand.block_step
        fields_["output_address"] += group.block * result.block_step
        works.append(_work(node, fields_, [_block(operand, group)], [_block(result, group)]))
    return works


def _conv(graph, node, layouts, tile, config, fields, packed, blocks):
    operand, result = layouts.input, layouts.output
    epilogue = fold(graph, node)
    fields = {**fields, "op": Op.CONV, "terms": node.codes.shape[0]}
    fields |= {"low": epilogue.low, "high": epilogue.high}
    works = []
    of_groups = groups(result.channels, config.lanes, config.rows)
    for group, data in zip(of_groups, packed, strict=True):
        if blocks is not None and not blocks[0] <= group.block < blocks[1]:
            continue
        fields_ = {**fields, "weight_step": int(data.words > 1), "output_part": group.part}
        fields_["output_address"] += group.block * result.block_step
        read = blocks_read(node, group, operand.channels, config.lanes)
        fields_["blocks"] = len(read)
        fields_["input_address"] += read.start * operand.block_step
        reads = [_blocks(operand, read)]
        if node.skip is not None:
            skip = layouts.skip
            fields_ |= _skip(skip, group, tile)
            reads.append(_block(skip, group))
        writes = [_block(result, group, p) for p in range(passes(node, config))]
        work = _work(node, fields_, reads, writes)
        works.append(
            replace(
                work,
                weight_words=data.words,
                weights=data.weights,
                parameters=data.parameters,
            )
        )
    return works


def _work(node, fields, reads, writes):
    mask = (1 << ADDRESS_BITS) - 1
    fields = {**fields, "input_address": fields["input_address"] & mask}
    instruction = Instruction(
        op=fields["op"], fields=fields, reads=tuple(reads), writes=tuple(writes)
    )
    return Work(name=node.name, instruction=instruction)


def _loops(node, tile):
    down, across = tile.count(node)
    return {
        "kernel_y": node.window.kernel[0],
        "kernel_x": node.window.kernel[1],
        "tiles_y": down,
        "tiles_x": across,
        "columns": tile.columns,
        "tile_width": tile.width,
        "tile_height": tile.height,
    }


def _input(graph, node, operand, tile):
    top, _, left, _ = node.window.padding
    down, across = node.window.stride
    qtype = graph[node.inputs[0]].type
    zero = qtype.low if isinstance(node, MaxPool) else 0
    fields = {
        "input_address": operand.address - top * operand.pitch - left,
        "block_step": operand.block_step,
        "kernel_y_step": node.window.dilation[0] * operand.pitch,
        "tile_y_step": tile.height * down * operand.pitch,
        "input_x": -left,
        "input_y": -top,
        "kernel_x_stride": node.window.dilation[1],
        "kernel_y_stride": node.window.dilation[0],
        "tile_x_stride": tile.width * across,
        "tile_y_stride": tile.height * down,
        "input_width": operand.width,
        "input_height": operand.height,
        "pad_value": zero - qtype.offset,
    }
    for bit in range(COLUMN_STEPS):
        dx, dy = _column(bit, tile)
        fields[f"column_x_{bit}"] = dx * across
        fields[f"column_y_{bit}"] = dy * down
        fields[f"column_address_{bit}"] = dx * across + dy * down * operand.pitch
    return fields


def _column(bit, tile):
    """What bit ``bit`` of a column's number adds to its pixel's x and y."""
    column = 1 << bit
    if column >= tile.columns:
        return 0, 0
    return (column, 0) if column < tile.width else (0, column // tile.width)


def _output(node, result, tile, config):
    return {
        "interval": max(passes(node, config) * tile.columns, config.columns),
        "passes": passes(node, config),
        "pass_step": result.pass_step,
        "output_address": result.address,
        "output_pitch": result.pitch,
        "output_tile_y_step": tile.height * result.pitch,
        "output_width": result.width,
        "output_height": result.height,
    }


def _skip(skip, group, tile):
    fields = {
        "skip": 1,
        "skip_part": group.part,
        "skip_address": skip.address + group.block * skip.block_step,
        "skip_tile_y_step": tile.height * skip.pitch,
    }
    for bit in range(COLUMN_STEPS):
        dx, dy = _column(bit, tile)
        fields[f"skip_column_{bit}"] = dx + dy * skip.pitch
    return fields


def _blocks(layout, blocks):
    first, last = (layout.address + layout.block_step * b for b in (blocks[0], blocks[-1]))
    return Span(Buffer.FEATURES, first, last + _block_words(layout))


def _block_words(layout):
    """Words from a block's first to past its last; those of other blocks may lie between."""
    return (layout.height - 1) * layout.pitch + layout.width


def _block(layout: TensorLayout, group: Group, number: int = 0) -> Span:
    start = layout.address + number * layout.pass_step + group.block * layout.block_step
    return Span(Buffer.FEATURES, start, start + _block_words(layout))


def _check_coordinates(node, fields):
    """No x or y of a step, of a column without a pixel neither, wraps."""
    for axis, side in (("x", "tile_width"), ("y", "tile_height")):
        stride = fields[f"tile_{axis}_stride"]
        reach = fields[f"input_{axis}"] + stride * fields[f"tiles_{axis}"]
        reach += (fields[f"kernel_{axis}"] - 1) * fields[f"kernel_{axis}_stride"]
        reach = max(reach, fields[side] * fields[f"tiles_{axis}"])
        if reach > COORDINATE_LIMIT:
            raise CompileError(
                f"{_what(node)} needs coordinates up to {reach}, but an instruction counts to "
                f"{COORDINATE_LIMIT}; use a smaller image, stride or kernel"
            )


def _check_fields(node, fields):
    try:
        TILES.encode(**fields)
    except ValueError as error:
        raise CompileError(
            f"{_what(node)} does not fit an instruction: {error}; use a smaller image, kernel or "
            f"padding, or fewer channels"
        ) from None


def _what(node):
    return f"{type(node).__name__.lower()} '{node.name}'"
