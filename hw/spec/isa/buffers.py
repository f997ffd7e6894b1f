"""Where words lie: on-chip buffers, regions of memory, and spans of either.

A buffer's word takes whole beats of the bus in memory; the bits behind its last value are padding.
"""

import enum
from typing import NamedTuple

from hw.spec.config import SvpeConfig


class Buffer(enum.IntEnum):
    """The on-chip buffers of an accelerator."""

    FEATURES = 0
    WEIGHTS = 1
    PARAMETERS = 2
    TABLES = 3

    def words(self, config: SvpeConfig) -> int:
        """Words that the buffer holds."""
        # In the order of the enumeration, whose numbers are part of the image format.
        return (
            config.feature_words,
            config.weight_words,
            config.parameter_words,
            config.table_words,
        )[self]

    def word_bits(self, config: SvpeConfig) -> int:
        """Width of a word on chip."""
        return (
            config.feature_bits,
            config.weight_word_bits,
            config.rows * config.parameter_bits,
            config.rows * config.activation_bits,  # an entry of each row's table
        )[self]

    def word_beats(self, config: SvpeConfig) -> int:
        """Beats of the bus that a word takes in memory, padding included."""
        return config.beats(self.word_bits(config))

    def word_bytes(self, config: SvpeConfig) -> int:
        """Bytes that a word takes in memory, padding included."""
        return self.word_beats(config) * config.bus_bytes


class Region(enum.IntEnum):
    """Regions of memory. The base address of each is a register."""

    IMAGE = 0  # program, weights, parameters, tables
    INPUT = 1
    OUTPUT = 2
    SCRATCH = 3


class Span(NamedTuple):
    """Words of a buffer, or bytes of a region, from ``start`` to before ``stop``."""

    memory: Buffer | Region
    start: int
    stop: int

    def meets(self, other: "Span") -> bool:
        """Whether the two share a word or byte."""
        # A buffer and a region of one number are equal integers, but two memories.
        same = self.memory is other.memory
        return same and self.start < other.stop and other.start < self.stop
