"""Programs drawn at random, as images of no network: what instructions can say beyond compilers.

A program fills all buffers, computes, loads and stores at random, lets each engine run ahead of
each other, and stores all features at its end. Tokens and fences are the compiler's, so that the
functional simulator's order is one that hardware must keep.
"""

from dataclasses import dataclass, replace
from itertools import accumulate, permutations

import numpy as np

from hw.spec.config import SvpeConfig
from hw.spec.image import Image
from hw.spec.isa.buffers import Buffer, Region
from hw.spec.isa.end import End
from hw.spec.isa.header import INSTRUCTION_BYTES, Engine, Op
from hw.spec.isa.packing import pack
from hw.spec.isa.parameters import parameters
from hw.spec.isa.program import Program
from hw.spec.isa.transfer import Transfer
from hw.spec.tensors import TensorLayout
from qnn.compiler.add_tokens import add_tokens
from qnn.compiler.check_program import check_program
from qnn.compiler.data_section import moved
from qnn.compiler.set_fences import set_fences
from sim.draw_tiles import draw_tiles
from sim.draw_transfer import draw_load, draw_return, draw_store
from sim.run_ahead import AHEAD, far_ahead, run_ahead

LENGTH = 36  # computations that are drawn, each with a transfer before it
# Of a number from 0 to 1, below which a transfer loads constants or features, or passes features
# through scratch; above it stores.
CONSTANT, LOAD, PASS = 0.2, 0.5, 0.7
MOST_BIAS = 5_000
FAR = 3  # of so many pairs of engines, one runs as far ahead as its tokens can be counted


@dataclass(frozen=True, eq=False)
class DrawnProgram:
    """An image whose outputs are what its program stores, and an input for it."""

    image: Image
    inputs: np.ndarray


def draw_program(config: SvpeConfig, seed: int) -> DrawnProgram:
    """A program for ``config``; the same for the same seed."""
    rng = np.random.default_rng(seed)
    room = 2 * config.feature_words  # of the input
    data, starts = _constants(rng, config)
    program = [_whole(buffer, config, start) for buffer, start in starts.items()]
    program += [_whole(Buffer.FEATURES, config, 0, rows) for rows in _rows(config)]
    for number in range(LENGTH):
        program += _moves(rng, config, room, starts, program)
        program.append(draw_tiles(rng, config, seed * LENGTH + number))
    for number, (giver, taker) in enumerate(permutations(Engine, 2)):
        ahead = far_ahead(config) if (number - seed) % FAR == 0 else AHEAD
        program += run_ahead(config, giver, taker, _stored(program, config), ahead)
    for rows in _rows(config):
        last = _stored(program, config) * Buffer.FEATURES.word_bytes(config)
        program.append(_whole(Buffer.FEATURES, config, last, rows, Op.STORE))
    program.append(End())
    # Constants stand behind the program, whose length is known only now.
    behind = len(program) * INSTRUCTION_BYTES
    program = [moved(each, behind) for each in program]
    program = set_fences(add_tokens(program, config), config)
    image = _image(config, Program(tuple(program)), data, room)
    check_program(image)
    half = 1 << config.activation_bits - 1
    return DrawnProgram(image, rng.integers(-half, half, (1, config.lanes, 1, room)))


def _constants(rng, config):
    """Bytes of all weights, epilogue numbers and tables, and where those of each buffer begin."""
    weights = _words(rng, Buffer.WEIGHTS, config.rows * config.lanes, config.weight_bits, config)
    tables = _words(rng, Buffer.TABLES, config.rows, config.activation_bits, config)
    numbers = b"".join(_parameters(rng, config) for _ in range(config.parameter_words))
    made = {Buffer.WEIGHTS: weights, Buffer.PARAMETERS: numbers, Buffer.TABLES: tables}
    made = {buffer: data for buffer, data in made.items() if data}
    starts = accumulate(map(len, made.values()), initial=0)
    return b"".join(made.values()), dict(zip(made, starts, strict=False))


def _words(rng, buffer, count, bits, config):
    """All words of a buffer, each of ``count`` values of any ``bits`` bits."""
    values = rng.integers(0, 1 << bits, (buffer.words(config), count))
    return pack(values, bits, buffer.word_bytes(config)).tobytes()


def _parameters(rng, config):
    """A word of epilogue numbers, with which most sums stay within an epilogue's bits."""
    layout, word = parameters(config), 0
    for row in range(config.rows):
        numbers = {
            "bias": int(rng.integers(-MOST_BIAS, MOST_BIAS)),
            "left": int(rng.integers(0, 3)),
            "skip_left": int(rng.integers(0, 8)),
            "right": int(rng.integers(0, 12)),
        }
        word |= layout.encode(**numbers) << row * layout.bits
    return word.to_bytes(Buffer.PARAMETERS.word_bytes(config), "little")


def _rows(config):
    """Numbers of rows in which all features are copied: one, many, and two of long rows.

    Words of a third and a sixth of a power of two have each bit once.
    """
    return 1, config.feature_words // 2, 3, 6


def _whole(buffer, config, offset, rows=1, op=Op.LOAD):
    """A copy of all words of a buffer, or nearly all, in so many rows."""
    region = Region.IMAGE if buffer is not Buffer.FEATURES else Region.INPUT
    words = buffer.words(config) // rows
    return Transfer(
        op=op,
        region=Region.OUTPUT if op is Op.STORE else region,
        buffer=buffer,
        address=0,
        rows=rows,
        words=words,
        address_step=words,
        offset=offset,
        offset_step=words * buffer.word_bytes(config),
    )


def _moves(rng, config, room, starts, program):
    """A transfer of any kind, or the two that pass features through scratch."""
    kind = rng.random()
    if kind >= PASS:
        return [draw_store(rng, config, Region.OUTPUT, _stored(program, config))]
    if kind >= LOAD:
        store = draw_store(rng, config, Region.SCRATCH, _stored(program, config, Region.SCRATCH))
        return [store, draw_return(rng, config, store)]
    if kind >= CONSTANT:
        return [draw_load(rng, config, Region.INPUT, Buffer.FEATURES, room)]
    buffer = list(starts)[rng.integers(len(starts))]
    load = draw_load(rng, config, Region.IMAGE, buffer, buffer.words(config))
    return [load.having(offset=load.offset + starts[buffer])]


def _stores(program, region=Region.OUTPUT):
    return [each for each in program if each.op is Op.STORE and each.region is region]


def _stored(program, config, region=Region.OUTPUT):
    """Words of a region that the stores of a program fill."""
    stops = (store.in_memory(config).stop for store in _stores(program, region))
    return max(stops, default=0) // Buffer.FEATURES.word_bytes(config)


def _image(config, program, data, room):
    """An image with an input of ``room`` words, and an output for each of the program's stores."""
    code, stores = program.encode(), _stores(program)
    outputs = tuple(_layout(f"y{n}", config, store) for n, store in enumerate(stores))
    whole = _whole(Buffer.FEATURES, config, 0).having(words=room)
    word_bytes = Buffer.FEATURES.word_bytes(config)
    return Image(
        config=config,
        batch=1,
        inputs=(_layout("x", config, whole),),
        outputs=outputs,
        input_axes=("CHW",),
        output_shapes=tuple((config.lanes, each.height, each.width) for each in outputs),
        output_axes=(None,) * len(outputs),
        pixel_tables=(None,),
        input_bytes=room * word_bytes,
        output_bytes=_stored(program, config) * word_bytes,
        scratch_bytes=_stored(program, config, Region.SCRATCH) * word_bytes,
        layers=(),
        program_bytes=len(code),
        payload=code + data,
    )


def _layout(name, config, transfer):
    """A copy's words in memory, as a tensor: a row for each row, a channel for each lane."""
    word_bytes = transfer.buffer.word_bytes(config)
    pitch = transfer.offset_step // word_bytes
    return TensorLayout(
        name=name,
        channels=(config.lanes,),
        height=transfer.rows,
        width=transfer.words,
        bits=config.activation_bits,
        signed=True,
        exponent=0,
        address=transfer.offset // word_bytes,
        pitch=pitch,
        block_step=transfer.words + pitch * transfer.rows,
    )


def displaced(image: Image, offset: int) -> Image:
    """The image with offsets larger by so many bytes in all regions but its own.

    It computes the same where these lie as much lower.
    """
    program = [
        each.having(offset=each.offset + offset)
        if isinstance(each, Transfer) and each.region is not Region.IMAGE
        else each
        for each in image.program
    ]
    code = Program(tuple(program)).encode()
    return replace(image, payload=code + image.payload[len(code) :])
