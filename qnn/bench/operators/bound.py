"""The cycles that an operator's reads and writes need at least, map by map."""

from dataclasses import dataclass
from itertools import product
from math import ceil, gcd

from hw.spec.config import SvpeConfig
from hw.spec.isa.buffers import Buffer

Shape = tuple[int, int, int]  # channels, height, width


@dataclass(frozen=True, kw_only=True)
class NeededMap:
    """A tensor that an operator has to compute.

    Members
    -------
    shape : channels, height, width of the results
    reads : feature words that each result is computed from, times the terms of their weights
    skip : whether a second operand is read for each result
    stride : pixels of the operand from one result's to the next one's
    """

    shape: Shape
    reads: int = 1
    skip: bool = False
    stride: int = 1

    def cycles(self, config: SvpeConfig) -> int:
        """The cycles of all its tiles, rectangles of pixels whose sides are powers of two.

        In a step each column reads one word, of a bank of its own; results of a tile leave at some
        words per cycle, and take as many cycles as it takes for all columns.
        """
        tiles = min(_tiles(self.shape, *sides) for sides in self._sides(config))
        steps = max(self.reads + self.skip, config.turns)
        return ceil(self.shape[0] / config.rows) * tiles * steps

    def _sides(self, config):
        # Pixels that lie a multiple of two apart are in every second bank, and so on.
        most = min(config.columns, config.banks // gcd(config.banks, self.stride))
        powers = [1 << n for n in range(most.bit_length())]
        return [sides for sides in product(powers, powers) if sides[0] * sides[1] <= most]


def needed_cycles(
    maps: tuple[NeededMap, ...], operands: tuple[Shape, ...], result: Shape, config: SvpeConfig
) -> int:
    """The cycles of the array, or those of the memory's port where these are more.

    The array computes one map after the other. Operands and result go through the port where they
    do not fit on chip together; loads and stores go at the same time.
    """
    computed = sum(each.cycles(config) for each in maps)
    # A map that stays on chip never sees the port.
    read, written = sum(_words(each, config) for each in operands), _words(result, config)
    if not maps or read + written <= config.feature_words:
        return computed
    return max(computed, max(read, written) * Buffer.FEATURES.word_beats(config))


def _words(shape, config):
    return ceil(shape[0] / config.lanes) * shape[1] * shape[2]


def _tiles(shape, height, width):
    return ceil(shape[1] / height) * ceil(shape[2] / width)
