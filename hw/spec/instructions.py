"""The instruction set: one 1024-bit word each, for the load, compute and store engines.

Every engine takes its instructions in program order. An instruction first waits for one token
from each engine that it names, and when its last write has landed gives one token to each engine
that it names. Program order is a valid serial order: that is what makes a deadlock impossible,
and what ``qnn.compile`` checks.
"""

import enum

from hw.spec.config import ADDRESS_BITS, COLUMN_STEPS, COORDINATE_BITS, SvpeConfig
from hw.spec.layout import Field, Layout

INSTRUCTION_BITS = 1024
INSTRUCTION_BYTES = INSTRUCTION_BITS // 8
TOKEN_BITS = 8  # of each of the six token counters
TAG_BITS = 16


class Op(enum.IntEnum):
    """Operation codes. Values are part of the image format: never reuse one."""

    END = 0  # the run is over when every engine is idle; ends the fetch
    LOAD = 1  # memory to buffer
    STORE = 2  # feature buffer to memory
    CONV = 3  # array and epilogue
    MAXPOOL = 4  # maximum over each window


class Buffer(enum.IntEnum):
    """On-chip buffers."""

    FEATURES = 0
    WEIGHTS = 1
    PARAMETERS = 2


class Region(enum.IntEnum):
    """Base addresses, each a register."""

    IMAGE = 0  # program, weights, parameters
    INPUT = 1
    OUTPUT = 2
    SCRATCH = 3


def _address(name):
    return Field(name, ADDRESS_BITS)


def _coordinate(name):
    return Field(name, COORDINATE_BITS, signed=True)


HEADER = (
    Field("op", 4),
    Field("wait_load", 1),
    Field("wait_compute", 1),
    Field("wait_store", 1),
    Field("signal_load", 1),
    Field("signal_compute", 1),
    Field("signal_store", 1),
    Field("reserved", 6),
    Field("tag", TAG_BITS),  # the layer, for traces: software's to choose
)

# Copies `rows` runs of `words` buffer words between memory and a buffer. A word takes
# `SvpeConfig.beats` whole beats in memory.
TRANSFER = Layout(
    "TRANSFER",
    (
        *HEADER,
        Field("region", 2),
        Field("buffer", 2),
        Field("address", ADDRESS_BITS),  # buffer word of the first run
        Field("words", ADDRESS_BITS),  # of each run, at least 1
        Field("rows", 16),  # runs, at least 1
        Field("address_step", ADDRESS_BITS),  # buffer words from run to run
        Field("offset", 32),  # bytes from the region's base to the first run; whole beats
        Field("offset_step", 32),  # bytes from run to run; whole beats
    ),
)

# One block of `rows` output channels over a whole feature map, tile by tile. Loops, outermost
# first: tile_y, tile_x, kernel_y, kernel_x, block, term; then, if `skip`, one step that reads the
# skip operand. Addresses count feature words and wrap at 2**ADDRESS_BITS. Column c of the array
# adds, for each bit b that is set in c, column_address_b, column_x_b and column_y_b to the
# address, x and y of column 0.
TILES = Layout(
    "TILES",
    (
        *HEADER,
        Field("fence", COORDINATE_BITS),  # start when at most this many cycles of writes remain
        # counts, each at least 1
        Field("terms", 3),
        Field("blocks", COORDINATE_BITS),
        Field("kernel_x", COORDINATE_BITS),
        Field("kernel_y", COORDINATE_BITS),
        Field("tiles_x", COORDINATE_BITS),
        Field("tiles_y", COORDINATE_BITS),
        # input: address and coordinates of column 0 at the first step, and their steps
        _address("input_address"),
        _address("block_step"),
        _address("kernel_y_step"),
        _address("tile_y_step"),
        _coordinate("input_x"),
        _coordinate("input_y"),
        _coordinate("kernel_x_stride"),  # address and x
        _coordinate("kernel_y_stride"),  # y
        _coordinate("tile_x_stride"),  # address and x
        _coordinate("tile_y_stride"),  # y
        _coordinate("input_width"),  # a read is inside if 0 <= x < width and 0 <= y < height
        _coordinate("input_height"),
        Field("pad_value", 16, signed=True),  # what a read outside gives, in every lane
        Field("columns", COLUMN_STEPS + 1),  # columns in use, from column 0
        *(_address(f"column_address_{b}") for b in range(COLUMN_STEPS)),
        *(_coordinate(f"column_x_{b}") for b in range(COLUMN_STEPS)),
        *(_coordinate(f"column_y_{b}") for b in range(COLUMN_STEPS)),
        # weights: one word a step, from the same address again for each tile
        Field("weight_address", 16),
        Field("weight_step", 1),  # 0: one word for all steps
        Field("parameter_address", 12),
        # skip operand, read for all columns at once
        Field("skip", 1),
        Field("skip_part", 6),  # which group of `rows` lanes
        _address("skip_address"),
        _address("skip_tile_y_step"),  # from tile to tile in x it steps as the output does
        *(_address(f"skip_column_{b}") for b in range(COLUMN_STEPS)),
        # output: tiles of tile_width x tile_height pixels, one word (or part) a pixel
        Field("interval", 10),  # cycles from this tile's last step to the next's; columns or more
        Field("passes", 4),  # 1: rounded; more: the whole sum, low bits first, a word a pass
        _address("pass_step"),
        Field("output_part", 6),
        _address("output_address"),
        Field("tile_width", COLUMN_STEPS + 1),  # also the output's step from tile to tile in x
        Field("tile_height", COLUMN_STEPS + 1),
        _address("output_pitch"),  # from row to row
        _address("output_tile_y_step"),
        _coordinate("output_width"),  # pixels outside are not written
        _coordinate("output_height"),
        Field("low", 16, signed=True),  # clamp of a rounded value, as stored
        Field("high", 16, signed=True),
    ),
)

INSTRUCTIONS = {
    Op.LOAD: TRANSFER,
    Op.STORE: TRANSFER,
    Op.CONV: TILES,
    Op.MAXPOOL: TILES,
    Op.END: Layout("END", HEADER),
}


def parameters(config: SvpeConfig) -> Layout:
    """One channel's epilogue: ``((acc << left) + bias + (skip << skip_left)) >> right``."""
    return Layout(
        "PARAMETERS",
        (
            Field("bias", config.result_bits, signed=True),
            Field("left", config.shift_bits),
            Field("skip_left", config.shift_bits),
            Field("right", config.shift_bits),
        ),
    )
