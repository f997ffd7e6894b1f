"""Computations drawn at random: whatever an accelerator executes, also what no compiler makes."""

from itertools import combinations, count
from math import ceil, prod

import numpy as np

from hw.spec.config import COLUMN_STEPS, COORDINATE_BITS, SvpeConfig
from hw.spec.isa import access
from hw.spec.isa.buffers import Buffer
from hw.spec.isa.header import Op
from hw.spec.isa.tiles import ADDRESS_MASK, Tiles

LOOPS = ("blocks", "kernel_x", "kernel_y", "tiles_x", "tiles_y")
MOST_TURNS = (1 << COORDINATE_BITS) - 1  # of a loop
MOST_CYCLES = 6_000  # of an instruction: RTL is slow
MOST_SIZE = 2047  # of a map
# What coordinates may move by, so that no sum of them leaves the two bits more than a map's that
# hardware has for them.
TILES_REACH, COLUMNS_REACH = 1_500, 400


def any_size(rng: np.random.Generator, most: int) -> int:
    """From 1 to ``most``, of each number of bits as often, and often next to a power of two."""
    power = 1 << int(rng.integers(0, most.bit_length()))
    near = power + (int(rng.integers(-1, 2)) if rng.random() < 0.5 else int(rng.integers(0, power)))
    return min(max(near, 1), most)


def draw_tiles(rng: np.random.Generator, config: SvpeConfig, number: int) -> Tiles:
    """A computation on any words of the feature buffer, without tokens and fence.

    It reads no word that it writes. Of as many numbers in a row as there are loops and bits of a
    count, each bit is once the highest of each loop's turns, if that takes no more than
    ``MOST_CYCLES``.
    """
    long, bits = LOOPS[number % len(LOOPS)], number // len(LOOPS) % COORDINATE_BITS
    tiles, attempts = None, count()
    while tiles is None or tiles.cycles > MOST_CYCLES or not _executes(tiles, config):
        # Fewer turns where tiles take long, or the buffer has no room.
        bit = COORDINATE_BITS - 1 - bits - next(attempts) // 50
        tiles = _drawn(rng, config, long, max(0, bit))
    return tiles


def _executes(tiles, config):
    try:
        tiles.check(config)
    except ValueError:
        return False
    read = [span for span in tiles.reads(config) if span.memory is Buffer.FEATURES]
    apart = not any(span.meets(own) for span in tiles.writes(config) for own in read)
    shared = not any(tiles.skip_column)
    return (
        apart
        and _banks_differ(tiles, tiles.column_address, config)
        and (not tiles.skip or shared or _banks_differ(tiles, tiles.skip_column, config))
    )


def _banks_differ(tiles, steps, config):
    banks = (access.column_offsets(tiles, steps) % config.banks).tolist()
    return all(one != other for one, other in combinations(banks, 2))


def _drawn(rng, config, long, bit):
    op = Op.MAXPOOL if rng.random() < 0.2 else Op.CONV
    columns = config.columns if rng.random() < 0.5 else int(rng.integers(1, config.columns + 1))
    loops = _loops(rng, long, bit)
    # A turn too many of a long sum hardly shows in a result of few bits.
    raw = op is Op.CONV and rng.random() < (0.6 if bit > 4 else 0.2)
    passes = int(rng.integers(2, config.passes + 1)) if raw else 1
    terms = int(rng.integers(1, 4)) if op is Op.CONV and prod(loops.values()) < 1_000 else 1
    slack = any_size(rng, 900) if prod(loops.values()) < 10 and rng.random() < 0.2 else 0
    members = {
        "op": op,
        "columns": columns,
        "passes": passes,
        "terms": terms,
        "interval": max(passes * ceil(columns / config.epilogue_words), config.turns) + slack,
        **loops,
    }
    members |= _input(rng, config, members)
    members |= _output(rng, config, members)
    members |= _values(rng, config, members)
    if op is Op.CONV:
        members |= _weights(rng, config, members)
        members |= _skip(rng, config, members) if rng.random() < 0.5 else {}
    return Tiles(**members)


def _loops(rng, long, bit):
    """Turns of each loop, of which one may be long: a number whose highest bit is ``bit``."""
    turns = {name: int(rng.integers(1, 4)) for name in LOOPS}
    turns[long] = int(rng.integers(1 << bit, 2 << bit))
    for name in rng.permutation([name for name in LOOPS if name != long]):
        if prod(turns.values()) > MOST_CYCLES:
            turns[str(name)] = 1
    return turns


def _stride(rng, turns, reach):
    """A step of either direction, with which ``turns`` go no farther than ``reach``."""
    most = max(1, min(3, reach // turns))
    return int(rng.integers(1, most + 1)) * (-1 if rng.random() < 0.3 else 1)


def _input(rng, config, members):
    """A map anywhere in the buffer, windows that may lie outside of it, and columns in them."""
    room = any_size(rng, config.feature_words // 2)
    width = any_size(rng, min(room, MOST_SIZE))
    height = min(max(1, room // width), MOST_SIZE)
    pitch = width + int(rng.integers(0, 3))
    size = (height - 1) * pitch + width
    blocks = members["blocks"]
    # Near to each other, or as far as the buffer lets them be.
    whole = config.feature_words // (1 if rng.random() < 0.3 else 2)
    step = int(rng.integers(0, max(1, (whole - size) // max(1, blocks - 1)) + 1))
    last = max(config.feature_words - size - (blocks - 1) * step, 0)
    first = int(rng.integers(0, last + 1))
    across, down = (_stride(rng, members[name], MOST_TURNS) for name in ("kernel_x", "kernel_y"))
    along, below = (_stride(rng, members[name], TILES_REACH) for name in ("tiles_x", "tiles_y"))
    x = _start(rng, members["kernel_x"], across, width)
    y = _start(rng, members["kernel_y"], down, height)
    columns = _columns(rng, config, members["columns"])
    half = 1 << config.activation_bits - 1
    return {
        "input_address": (first + y * pitch + x) & ADDRESS_MASK,
        "block_step": step,
        "input_x": x,
        "input_y": y,
        "kernel_x_stride": across,
        "kernel_y_stride": abs(down),
        "kernel_y_step": abs(down) * pitch & ADDRESS_MASK,
        "tile_x_stride": along,
        "tile_y_stride": below,
        "tile_y_step": below * pitch & ADDRESS_MASK,
        "input_width": width,
        "input_height": height,
        "column_x": tuple(x for x, _ in columns),
        "column_y": tuple(y for _, y in columns),
        "column_address": tuple(y * pitch + x & ADDRESS_MASK for x, y in columns),
        # A maximum may meet it at any time.
        "pad_value": -half if members["op"] is Op.MAXPOOL else int(rng.integers(-half, half)),
    }


def _start(rng, turns, stride, size):
    """Where a window begins that may meet a map of a size, or miss it."""
    reach = turns * abs(stride)
    return int(rng.integers(max(-reach - 1, -MOST_SIZE), min(size + 2, MOST_SIZE)))


def _columns(rng, config, used):
    """What each bit of a column's number adds to x and y: first bits go across, the others down.

    Columns that are not in use would meet those that are in one bank, if they read.
    """
    bits = int(rng.integers(0, COLUMN_STEPS + 1))
    across, down = (int(rng.choice([1, 1, 1, 2, 3, 5, -1, 24])) for _ in range(2))
    moves = [(across << bit, 0) for bit in range(bits)]
    moves += [(0, down << bit) for bit in range(COLUMN_STEPS - bits)]
    for bit in range((used - 1).bit_length(), COLUMN_STEPS):
        moves[bit] = (config.banks, 0)
    return [tuple(min(max(m, -COLUMNS_REACH), COLUMNS_REACH) for m in move) for move in moves]


def _output(rng, config, members):
    """Where results lie: as many pixels as fit a part of the buffer, with gaps between them."""
    width = 1 << int(rng.integers(0, COLUMN_STEPS + 1))
    height = ceil(members["columns"] / width) + int(rng.integers(0, 2))
    passes = members["passes"]
    room = max(1, config.feature_words // 3 // passes)
    step = int(rng.choice([1, 1, 1, 1, 2, 3, any_size(rng, 255)]))
    across = _extent(rng, members["tiles_x"], width, min(MOST_SIZE, ceil(room / step)))
    row = (across - 1) * step + 1
    pitch = row + int(rng.integers(0, 3))
    down = _extent(rng, members["tiles_y"], height, min(MOST_SIZE, max(1, room // pitch)))
    size = (down - 1) * pitch + row
    pass_step = size + int(rng.integers(0, 3))
    whole = (passes - 1) * pass_step + size
    return {
        "tile_width": width,
        "tile_height": height,
        "output_step": step,
        "output_tile_x_step": width * step,
        "output_pitch": pitch,
        "output_tile_y_step": height * pitch & ADDRESS_MASK,
        "output_width": across,
        "output_height": down,
        "pass_step": pass_step,
        "output_address": int(rng.integers(0, max(config.feature_words - whole, 0) + 1)),
    }


def _extent(rng, tiles, size, room):
    """Pixels that are written: mostly all of them, where there is room."""
    most = min(tiles * size, room)
    return most if rng.random() < 0.7 else any_size(rng, most)


def _values(rng, config, members):
    """How results are made of sums: clamp, table, and which channels they are."""
    plain = members["op"] is Op.CONV and members["passes"] == 1
    table = bool(plain and config.tables and rng.random() < 0.3)
    bits = config.table_bits if table else config.activation_bits
    half = 1 << bits - 1
    low, high = sorted(int(each) for each in rng.integers(-half, half, 2))
    if rng.random() < 0.6:
        low, high = -half, half - 1
    return {
        "low": low,
        "high": high,
        "table": table,
        "table_address": int(rng.integers(0, config.tables)) if table else 0,
        "output_part": int(rng.integers(0, config.parts)) if members["op"] is Op.CONV else 0,
        "tag": int(rng.integers(0, 1 << 16)),
    }


def _weights(rng, config, members):
    """Weights and epilogue numbers from anywhere in their buffers."""
    taps = members["terms"] * prod(members[name] for name in ("blocks", "kernel_x", "kernel_y"))
    each = taps <= config.weight_words and rng.random() < 0.8
    room = config.weight_words - (taps if each else 1)
    return {
        "weight_step": int(each),
        "weight_address": int(rng.integers(0, room + 1)),
        "parameter_address": int(rng.integers(0, config.parameter_words)),
    }


def _skip(rng, config, members):
    """A second operand for each pixel, or one word for all of them."""
    width, shared = members["tile_width"], rng.random() < 0.3
    pitch = 0 if shared else members["output_width"] + int(rng.integers(0, 3))
    size = (members["output_height"] - 1) * pitch + (1 if shared else members["output_width"])
    bits = [divmod(1 << bit, width) for bit in range(COLUMN_STEPS)]
    multiply = bool(config.multiplies and rng.random() < 0.4)
    return {
        "skip": True,
        "skip_part": int(rng.integers(0, config.parts)),
        "skip_address": int(rng.integers(0, max(config.feature_words - size, 0) + 1)),
        "skip_tile_x_step": 0 if shared else width,
        "skip_tile_y_step": members["tile_height"] * pitch & ADDRESS_MASK,
        "skip_column": tuple(0 if shared else down * pitch + across for down, across in bits),
        "multiply": multiply,
        "sum_unsigned": multiply and rng.random() < 0.5,
        "skip_unsigned": multiply and rng.random() < 0.5,
    }
