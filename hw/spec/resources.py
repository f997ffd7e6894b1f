"""What an accelerator takes of an UltraScale+ device, estimated block by block without synthesis.

Each block's LUTs and flip-flops are a sum of a few sizes of its parts times coefficients, which are
fitted to what Yosys counts (``resources.json``, written by ``python -m qnn.eda.blocks``). Block RAM
follows from the shapes of the memories.
"""

import json
from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path

from hw.spec.config import SvpeConfig
from hw.spec.isa.buffers import Buffer
from hw.spec.timing import bypass_depth

TABLE = Path(__file__).with_name("resources.json")
SIMPLE_SHAPES = ((16384, 1), (8192, 2), (4096, 4), (2048, 9), (1024, 18), (512, 36))  # words, bits
TRUE_SHAPES = SIMPLE_SHAPES[:-1]  # of half a block RAM of which both ports read (UG573)
LUT_MEMORY_WORDS = 128  # deeper memories go to block RAM


@dataclass(frozen=True, kw_only=True)
class Device:
    """What a device has: LUTs, flip-flops, half block RAMs of 18 Kbit, DSP blocks."""

    name: str
    lut: int
    ff: int
    bram18: int
    dsp: int
    source: str


# Of what a device has; more is hard to place and route. A judgement, not a limit of the device.
USABLE_LUT, USABLE_BRAM18 = 0.75, 0.9


def usable(device: Device) -> dict[str, int]:
    """Cells of ``device`` that a design may take, by kind."""
    return {
        "lut": int(device.lut * USABLE_LUT),
        "ff": device.ff,
        "bram18": int(device.bram18 * USABLE_BRAM18),
        "dsp": device.dsp,
    }


@dataclass(frozen=True, kw_only=True)
class Cells:
    """What a block takes (estimated): every LUT cell as one, flip-flops, half block RAMs, DSPs."""

    lut: int
    ff: int
    bram18: int = 0
    dsp: int = 0

    def __add__(self, other: "Cells") -> "Cells":
        return Cells(
            lut=self.lut + other.lut,
            ff=self.ff + other.ff,
            bram18=self.bram18 + other.bram18,
            dsp=self.dsp + other.dsp,
        )

    def times(self, count: int) -> "Cells":
        """The cells of ``count`` such blocks."""
        return Cells(
            lut=self.lut * count,
            ff=self.ff * count,
            bram18=self.bram18 * count,
            dsp=self.dsp * count,
        )


def estimate(config: SvpeConfig) -> dict[str, Cells]:
    """Cells of each block of one accelerator (estimated).

    Raises
    ------
    ValueError
        The array multiplies: the table has shifts only.
    """
    if config.pe != "shift":
        raise ValueError(
            f"resources are estimated for pe=shift, not for pe={config.pe}; count those with "
            f"'qnn synth --part accelerator'"
        )
    rams = block_rams(config)
    return {
        block: Cells(
            lut=_sum(block, "lut", config), ff=_sum(block, "ff", config), bram18=rams.get(block, 0)
        )
        for block in TERMS
    }


def total(config: SvpeConfig) -> Cells:
    """Cells of one accelerator (estimated)."""
    return sum(estimate(config).values(), start=Cells(lut=0, ff=0))


def block_rams(config: SvpeConfig) -> dict[str, int]:
    """Half block RAMs of the blocks that have some."""
    part_bits = config.rows * config.activation_bits
    words = config.feature_words // config.banks
    part = min(_halves(words, part_bits, TRUE_SHAPES), 2 * _halves(words, part_bits))
    codes = _halves(config.weight_words, config.lanes * config.weight_bits)
    widths = (config.result_bits, 3 * config.shift_bits)  # memories of a row's parameters
    parameters = sum(_halves(config.parameter_words, bits) for bits in widths)
    tables = _halves(config.table_words, config.activation_bits)
    # Sum and difference of two factors are looked up at once, and always in block RAM.
    shape = config.square_words, config.square_bits
    squares = config.multiplies * _always_halves(*shape, TRUE_SHAPES)
    words = config.epilogue_words
    # For each reader.
    bypass = 2 * _always_halves(bypass_depth(config), words * config.feature_bits)
    return {
        "buffers": config.banks * config.parts * part + config.rows * codes,
        "epilogue": config.rows * (parameters + words * (tables + squares)) + bypass,
    }


def terms(block: str, config: SvpeConfig) -> list[int]:
    """The sizes that a block's coefficients multiply."""
    return [*TERMS[block](config), 1]


def key(block: str, config: SvpeConfig) -> str:
    """The row of the table: an array's coefficients depend on what it multiplies by."""
    return f"{block}, {config.weight_bits}-bit weights" if block == "array" else block


def _array(config):
    elements = config.rows * config.columns
    products = elements * config.lanes
    return (
        products * config.activation_bits,
        products,
        elements * config.accumulator_bits,
        elements,
        # Choices between lanes of a column's own word and values of its neighbours, as far as there
        # are some, and the lanes of the first rows that go round.
        config.rows * _pairs_beside(config) * config.activation_bits,
        bool(config.neighbours) * config.columns * config.activation_bits,
    )


def _pairs_beside(config):
    """Pairs of columns of which one takes the other's values."""
    return sum(config.columns - 1 - n for n in range(config.neighbours))


def _buffers(config):
    fours = ceil(config.banks / 4)
    words, part_bits = config.feature_words // config.banks, config.rows * config.activation_bits
    stored = config.banks * config.feature_bits
    # A memory of two reading ports, where two of one reading port would take more block RAM.
    shared = _halves(words, part_bits, TRUE_SHAPES) < 2 * _halves(words, part_bits)
    return (
        stored,
        stored * shared,
        stored * _luts_deep(words),
        config.weight_word_bits * _luts_deep(config.weight_words),
        fours * config.feature_bits,
        config.banks,
        config.weight_word_bits,
        config.rows,
        _further_words(config) * config.sides * config.feature_bits,
    )


def _crossbar(config):
    fours, threes = ceil(config.banks / 4), ceil(config.columns / 3)
    row_bits = (config.feature_words // config.banks - 1).bit_length()
    words = config.columns * config.feature_bits
    return (
        words * fours,
        words * (config.banks > 16),
        words,
        config.banks * row_bits * threes,
        config.banks * row_bits * (threes > 1),
        config.banks * config.columns,
    )


def _epilogue(config):
    return (
        config.rows * config.accumulator_bits,
        config.rows * config.result_bits,
        config.rows * config.activation_bits,
        config.rows,
        Buffer.PARAMETERS.word_bits(config) * _luts_deep(config.parameter_words),
        config.columns * config.feature_bits,
        # The registers behind the choice of a column: one, or two where it takes two stages.
        (1 + (config.columns > 4)) * config.feature_bits,
        # Results that go through tables or by them, and what waits for them.
        bool(config.tables) * Buffer.TABLES.word_bits(config),
        Buffer.TABLES.word_bits(config) * _luts_deep(config.table_words),
        bool(config.tables),
        _further_words(config) * config.rows * config.result_bits,
    )


def _control(config):
    return config.columns, _further_words(config)


def _shell(config):
    return (config.bus_bits, config.feature_bits, config.weight_word_bits, config.rows)


TERMS = {
    "array": _array,
    "buffers": _buffers,
    "crossbar": _crossbar,
    "epilogue": _epilogue,
    "control": _control,
    "shell": _shell,
}


def _sum(block, kind, config):
    coefficients = _table()["coefficients"][key(block, config)][kind]
    sizes = terms(block, config)
    return max(0, round(sum(c * size for c, size in zip(coefficients, sizes, strict=True))))


def _further_words(config):
    """What the epilogue writes per cycle beside its first word."""
    return config.epilogue_words - 1


def _halves(words, bits, shapes=SIMPLE_SHAPES):
    """Half block RAMs of a memory, of the shape that takes the fewest; none of a shallow one."""
    return 0 if words <= LUT_MEMORY_WORDS else _always_halves(words, bits, shapes)


def _always_halves(words, bits, shapes=SIMPLE_SHAPES):
    return min(ceil(words / depth) * ceil(bits / width) for depth, width in shapes)


def _luts_deep(words):
    """LUTs that a bit of a shallow memory takes; none of one in block RAM, and of no words."""
    return ceil(words / 64) * (words <= LUT_MEMORY_WORDS)


@cache
def _table():
    return json.loads(TABLE.read_text())
