"""Instructions of which one engine is many ahead of another, so that tokens gather."""

from hw.spec.config import SvpeConfig
from hw.spec.isa.buffers import Buffer, Region
from hw.spec.isa.encoding import Instruction
from hw.spec.isa.header import Engine, Op
from hw.spec.isa.tiles import Tiles
from hw.spec.isa.transfer import Transfer

AHEAD = 12  # more instructions than a queue holds
LONG = 1_000  # turns, or words, of what an engine does meanwhile


def run_ahead(
    config: SvpeConfig, giver: Engine, taker: Engine, first: int
) -> tuple[Instruction, ...]:
    """Something long of the taker, many short ones of the giver, and as many that wait for them.

    Each short one has a feature word to itself, which it writes, or reads if it stores. All begin
    together, behind a load that waits for whatever was before.

    Parameters
    ----------
    first : word of the output from which on it stores
    """
    last = config.feature_words - AHEAD
    words = range(last, config.feature_words)
    both = _copy(config, Engine.LOAD, 0, AHEAD, 0).having(rows=2, address_step=last)
    # Stores need as many places, of which the first is for something long.
    return (
        both,
        _long(config, taker, first),
        *(_touch(config, giver, word, first + LONG + n) for n, word in enumerate(words)),
        *(_touch(config, taker, word, first + LONG + AHEAD + n) for n, word in enumerate(words)),
    )


def _long(config, engine, place):
    if engine is Engine.COMPUTE:
        return _compute(config, 1, LONG)
    # The words that are touched, and the one that computations read, stay free for the giver.
    return _copy(config, engine, 2, min(LONG, config.feature_words - AHEAD - 2), place)


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
