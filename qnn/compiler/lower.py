"""One TILES instruction for each group of output channels of each layer."""

from dataclasses import dataclass, replace

from hw.spec.config import COLUMN_STEPS, SvpeConfig
from hw.spec.isa.encoding import encode
from hw.spec.isa.header import Op
from hw.spec.isa.tiles import ADDRESS_MASK, Tiles
from hw.spec.tensors import TensorLayout
from qnn.compiler.epilogue import clamp, fold
from qnn.compiler.neighbours import steps_of_row, stride_of_row
from qnn.compiler.segments import Segments, blocks_read, groups, passes
from qnn.compiler.steps import interval
from qnn.compiler.terms import terms_of
from qnn.compiler.tiles import Tile
from qnn.compiler.words import pack_parameters, pack_table, pack_weights, weight_words
from qnn.errors import CompileError
from qnn.ir.graph import Graph
from qnn.ir.ops import Conv, MaxPool
from qnn.ir.ops.operator import shared_operands

# Coordinates have 12 bits with a sign: what lies in the padding is negative.
COORDINATE_LIMIT = 2047


@dataclass(frozen=True, kw_only=True)
class Operands:
    """The places that a layer reads and writes."""

    input: TensorLayout
    output: TensorLayout
    skip: TensorLayout | None = None


@dataclass(frozen=True, eq=False)
class GroupData:
    """What one group of a layer loads: a parameter word, the weight words of all its terms, and the
    table of its rows if it has one.
    """

    terms: int
    words: int
    weights: bytes
    parameters: bytes
    table: bytes | None = None


def pack_layer(
    graph: Graph,
    node: Conv,
    operand: Segments,
    result: Segments,
    config: SvpeConfig,
    repeated: bool = False,
    neighbours: int = 0,
) -> tuple[GroupData, ...]:
    """The data of every group, in the order of ``groups``.

    Parameters
    ----------
    repeated : all rows compute the only channel, so that it is in the lane of each
    neighbours : of the layer's tile
    """
    epilogue = fold(graph, node)
    packed = []
    for group in groups(result, config.lanes, config.rows):
        if repeated:
            group = replace(group, channels=group.channels * min(config.rows, config.lanes))
        words = weight_words(node, group, operand, config, neighbours)
        data = GroupData(
            terms=len(terms_of(node, group, config)),
            words=len(words),
            weights=pack_weights(words, config),
            parameters=pack_parameters(node, epilogue, group, config),
            table=None if epilogue.table is None else pack_table(epilogue, group, config),
        )
        packed.append(data)
    return tuple(packed)


def lower(
    graph: Graph,
    node: Conv | MaxPool,
    layouts: Operands,
    tile: Tile,
    config: SvpeConfig,
    packed: tuple[GroupData, ...],
    blocks: tuple[int, int],
) -> list[Tiles]:
    """The instructions of one layer; they need no order among themselves, and no weights yet.

    Parameters
    ----------
    packed : of a convolution, what ``pack_layer`` gives for it
    blocks : of a convolution, first and past the last block to compute
    """
    tiles = _whole_map(graph, node, layouts, tile, config)
    _check_coordinates(node, tiles)
    if node.takes_maximum:
        instructions = _max_pool(layouts, config, tiles)
    else:
        instructions = _conv(graph, node, layouts, tile, config, tiles, packed, blocks)
    for instruction in instructions:
        _check_fields(node, instruction)
    return instructions


def _max_pool(layouts, config, tiles):
    shares = groups(layouts.input.channels, config.lanes, config.lanes)
    return [_at_block(tiles, layouts, share.block, share.block) for share in shares]


def _conv(graph, node, layouts, tile, config, tiles, packed, blocks):
    low, high = clamp(node)
    instructions = []
    of_groups = groups(layouts.output.channels, config.lanes, config.rows)
    for group, data in zip(of_groups, packed, strict=True):
        if not blocks[0] <= group.block < blocks[1]:
            continue
        read = blocks_read(node, group, layouts.input.channels, config.lanes)
        own = _at_block(tiles, layouts, read.start, group.block).having(
            terms=data.terms,
            blocks=len(read),
            # A group whose steps all have one word of weights stays at it.
            weight_step=int(data.words > 1),
            output_part=group.part,
            low=low,
            high=high,
            table=data.table is not None,
        )
        if node.skip is not None:
            # One block has what all channels share, and each row finds it in its own lane.
            shared = shared_operands(node, graph.sources(node))
            place = (0, 0) if shared else (group.block, group.part)
            own = _with_skip(own, layouts.skip, place, tile)
        if node.multiplies:
            unsigned = [not graph[name].type.signed for name in node.inputs]
            own = own.having(multiply=True, sum_unsigned=unsigned[0], skip_unsigned=unsigned[1])
        instructions.append(own)
    return instructions


def _whole_map(graph, node, layouts, tile, config):
    """The instruction for the first block of the input and of the output."""
    top, _, left, _ = node.window.padding
    stride_y, stride_x = node.window.stride
    operand, result = layouts.input, layouts.output
    # The first result of a row is the last window's where they come from the right to the left.
    first_x = (result.width - 1) * -stride_x - left if node.window.backwards else -left
    qtype = graph[node.inputs[0]].type
    # Padding never wins a maximum, and adds nothing to a sum.
    zero = qtype.low if node.takes_maximum else 0
    tiles_y, tiles_x = tile.count(node)
    columns = [_column(bit, tile.read) for bit in range(COLUMN_STEPS)]  # x, y of the output
    return Tiles(
        op=Op.MAXPOOL if node.takes_maximum else Op.CONV,
        terms=1,
        blocks=1,
        kernel_y=node.window.kernel[0],
        kernel_x=len(steps_of_row(node.window, tile.neighbours)),
        tiles_y=tiles_y,
        tiles_x=tiles_x,
        columns=tile.read.columns,
        neighbours=tile.neighbours,
        tile_width=tile.width,
        tile_height=tile.height,
        input_address=operand.address - top * operand.pitch + first_x,
        block_step=operand.block_step,
        kernel_y_step=node.window.dilation[0] * operand.pitch,
        tile_y_step=tile.height * stride_y * operand.pitch,
        input_x=first_x,
        input_y=-top,
        kernel_x_stride=stride_of_row(node.window, tile.neighbours),
        kernel_y_stride=node.window.dilation[0],
        tile_x_stride=tile.width * stride_x,
        tile_y_stride=tile.height * stride_y,
        input_width=operand.width,
        input_height=operand.height,
        pad_value=zero - qtype.offset,
        column_x=tuple(x * stride_x for x, _ in columns),
        column_y=tuple(y * stride_y for _, y in columns),
        column_address=tuple(
            x * stride_x + y * stride_y * operand.pitch & ADDRESS_MASK for x, y in columns
        ),
        interval=interval(node, tile.columns, config),
        passes=passes(node, config),
        pass_step=result.pass_step,
        output_address=result.address,
        output_pitch=result.pitch,
        output_step=result.x_step,
        output_tile_x_step=tile.width * result.x_step,
        output_tile_y_step=tile.height * result.pitch,
        output_width=result.width,
        output_height=result.height,
    )


def _at_block(tiles, layouts, read, written):
    """The instruction with the numbers of the first block that it reads, and of its output's."""
    return tiles.having(
        # The first step may lie in the padding, before the buffer: addresses wrap.
        input_address=tiles.input_address + read * layouts.input.block_step & ADDRESS_MASK,
        output_address=tiles.output_address + written * layouts.output.block_step,
    )


def _column(bit, tile):
    """What bit ``bit`` of a column's number adds to its pixel's x and y."""
    column = 1 << bit
    if column >= tile.columns:
        return 0, 0
    # Both sides of a tile are powers of two: a bit of the column's number is one of x or one of y.
    return (column, 0) if column < tile.width else (0, column // tile.width)


def _with_skip(tiles, skip, place, tile):
    block, part = place
    read = tiles.having(
        skip=True,
        skip_part=part,
        skip_address=skip.address + block * skip.block_step,
    )
    # One word serves all pixels: nothing moves away from it.
    if (skip.height, skip.width) == (1, 1):
        return read
    columns = [_column(bit, tile.read) for bit in range(COLUMN_STEPS)]
    return read.having(
        skip_tile_x_step=tile.width,
        skip_tile_y_step=tile.height * skip.pitch,
        skip_column=tuple(x + y * skip.pitch for x, y in columns),
    )


def _check_coordinates(node, tiles):
    """Check that no x or y of any column wraps, not even of columns without a pixel."""
    axes = (
        (tiles.input_x, tiles.tile_x_stride, tiles.tiles_x, tiles.tile_width),
        (tiles.input_y, tiles.tile_y_stride, tiles.tiles_y, tiles.tile_height),
    )
    kernel = (
        (tiles.kernel_x - 1) * tiles.kernel_x_stride,
        (tiles.kernel_y - 1) * tiles.kernel_y_stride,
    )
    for (first, stride, count, side), further in zip(axes, kernel, strict=True):
        # One tile further than there is: columns without a pixel are computed too, and must not
        # wrap.
        beyond = first + stride * count
        # Backwards the first window reaches furthest, and what is negative lies beyond the last.
        most = beyond + further if stride > 0 else max(first + further, -beyond)
        reach = max(most, side * count)
        if reach > COORDINATE_LIMIT:
            raise CompileError(
                f"{_what(node)} needs coordinates up to {reach}, but an instruction counts to "
                f"{COORDINATE_LIMIT}; use a smaller image, stride or kernel"
            )


def _check_fields(node, tiles):
    try:
        encode(tiles)
    except ValueError as error:
        raise CompileError(
            f"{_what(node)} does not fit an instruction: {error}; use a smaller image, kernel or "
            f"padding, or fewer channels"
        ) from None


def _what(node):
    return f"{node.kind} '{node.name}'"
