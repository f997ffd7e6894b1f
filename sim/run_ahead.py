"""Instructions of which one engine is many ahead of another, so that tokens gather."""

from math import ceil

from hw.spec.config import SvpeConfig
from hw.spec.isa.buffers import Buffer, Region
from hw.spec.isa.encoding import Instruction
from hw.spec.isa.header import TOKEN_BITS, Engine, Op
from hw.spec.isa.tiles import Tiles
from hw.spec.isa.transfer import Transfer

AHEAD = 12  # more instructions than a queue holds
LONG = 1_000  # turns, or words, of an instruction that an engine does meanwhile, at most
SHORT_CYCLES = 20  # of a short instruction, whose fetch takes most of them


def far_ahead(config: SvpeConfig) -> int:
    """As many instructions as a counter of tokens holds, or as few words as a buffer has for."""
    most = (1 << TOKEN_BITS) - 2  # the load before them may give one, too
    return max(AHEAD, min(most, config.feature_words // 8))


def run_ahead(
    config: SvpeConfig, giver: Engine, taker: Engine, first: int, ahead: int = AHEAD
) -> tuple[Instruction, ...]:
    """Something long of the taker, ``ahead`` short ones of the giver, and as many that wait.

    Each short one has a feature word to itself, which it writes, or reads if it stores. All begin
    together, behind a load that waits for whatever was before.

    Parameters
    ----------
    first : word of the output from which on it stores
    """
    last = config.feature_words - ahead
    words = range(last, config.feature_words)
    both = _copy(config, Engine.LOAD, 0, ahead, 0).having(rows=2, address_step=last)
    # The words that are touched, and the one that computations read, stay free for the giver.
    turns = LONG if taker is Engine.COMPUTE else min(LONG, last - 2)
    times = ceil(ahead * SHORT_CYCLES / turns)
    # Stores need as many places, of which the first are for something long.
    behind = first + times * LONG
    return (
        both,
        *(_long(config, taker, turns, first + n * LONG) for n in range(times)),
        *(_touch(config, giver, word, behind + n) for n, word in enumerate(words)),
        *(_touch(config, taker, word, behind + ahead + n) for n, word in enumerate(words)),
    )


def _long(config, engine, turns, place):
    if engine is Engine.COMPUTE:
        return _compute(config, 1, turns)
    return _copy(config, engine, 2, turns, place)


def _touch(config, engine, word, place):
    if engine is Engine.COMPUTE:
        return _compute(config, word, 1)
    return _copy(config, engine, word, 1, place)


def _copy(config, engine, word, words, place):
    load = engine is Engine.LOAD
    return Transfer(
        op=Op.LOAD if load else Op.STORE,
        region=Region.INPUT if load else Region.OUTPUT,
        buffer=Buffer.FEATURES,
        address=word,
        words=words,
        # Of a load the words of the input that follow each other differ, which is all it takes.
        offset=(word if load else place) * Buffer.FEATURES.word_bytes(config),
    )


def _compute(config, word, turns):
    """A result of the first word, in a window whose other turns all lie outside."""
    half = 1 << config.activation_bits - 1
    ones = dict.fromkeys(("terms", "blocks", "kernel_y", "tiles_x", "tiles_y"), 1)
    sizes = ("input_width", "input_height", "output_width", "output_height")
    steps = ("kernel_x_stride", "kernel_y_stride", "kernel_y_step", "columns", "passes")
    tile = ("tile_width", "tile_height", "output_tile_x_step")
    return Tiles(
        op=Op.CONV,
        kernel_x=turns,
        **ones,
        **dict.fromkeys((*sizes, *steps, *tile), 1),
        interval=config.turns,
        output_address=word,
        low=-half,
        high=half - 1,
    )
