"""Fences: how early an instruction may start while results that it reads are still to land.

Between instructions the sequencer can only be late, never early, so that the least times between
steps, which ``hw.spec.timing`` gives, bound how old each result is when it is read.
"""

from dataclasses import dataclass

import numpy as np

from hw.spec.config import SvpeConfig
from hw.spec.isa import access
from hw.spec.isa.tiles import ADDRESS_MASK, NO_FENCE, Tiles
from hw.spec.timing import FENCED_GAP, dependent_fence

# Far beyond any cycle of one instruction, and far below where int64 sums would wrap.
NEVER = 1 << 40


@dataclass(frozen=True, eq=False)
class _Written:
    """Words that one instruction writes, each ``early + 1`` cycles before its last tile's first.

    Of the last tile itself, ``early`` is negative. All of them come ``late`` cycles later than
    those of most instructions.
    """

    words: np.ndarray
    early: np.ndarray
    least: int  # of `early`
    first: int  # of `words`
    stop: int  # past the last of them
    late: int

    def meets(self, bounds):
        """Whether some words may lie in one of the bounds."""
        return any(self.first < stop and first < self.stop for first, stop in bounds)


class Running:
    """The compute instructions so far, as far as their writes can still be on their way."""

    def __init__(self, config: SvpeConfig):
        self.config = config
        self.landed = dependent_fence(config)  # with it, all that was written before is read
        self.newest: list[tuple[_Written, int]] = []  # with the least cycles that each takes
        self.before: Tiles | None = None  # the newest, whose interval and lateness the drain counts

    def limit(self, tiles: Tiles) -> int:
        """The largest safe fence of the next instruction: it reads what was written before."""
        fence, age = NO_FENCE, 0
        if self.before is None:
            return fence
        drained = self.landed + self.before.interval + self.before.late(self.config)
        bounds, first = access.read_bounds(tiles), None
        # Newest first: the further back, the more cycles have passed at least, and the less it can
        # matter.
        for written, cycles in reversed(self.newest):
            landed = drained + age - written.late
            # `least` bounds every word of it: most instructions of the past are left out by one
            # comparison, and of the others those that write elsewhere, as the groups of one layer
            # do.
            if landed + written.least < fence and written.meets(bounds):
                # Once, and only if it is needed: it takes as long as all the rest.
                first = _first_reads(tiles, self.config.feature_words) if first is None else first
                needed = first[written.words] + written.early
                fence = min(fence, landed + int(needed.min(initial=NEVER)))
            age += cycles
        return max(fence, 0)  # drained is enough: each tile ends an interval after the last one

    def order(self, tiles: Tiles) -> int:
        """The largest fence with which the next instruction writes after all before it."""
        # Enough for the newest, which itself writes after all that are older.
        return NO_FENCE if self.before is None else tiles.order_fence(self.before, self.config)

    def add(self, tiles: Tiles) -> None:
        """Count an instruction as issued."""
        self.before = tiles
        written = _writes(tiles, self.config)
        self.newest.append((written, FENCED_GAP + tiles.last_step))
        total = 0
        for kept, (_, cycles) in enumerate(reversed(self.newest)):
            total += cycles
            # Older writes have landed whatever the fence is.
            if total > NO_FENCE:
                self.newest = self.newest[-1 - kept :]
                break


def _last_steps(tiles):
    """Least cycles from an instruction's first step to the last step of each tile: (tiles,)."""
    return tiles.steps - 1 + np.arange(tiles.tiles) * tiles.tile_cycles


def _first_reads(tiles, feature_words):
    """Least cycles from an instruction's first step until it reads each word; ``NEVER`` if not."""
    address, inside = access.reads(tiles)
    last = _last_steps(tiles)[:, None]
    cycle = np.arange(address.shape[1])
    cycle = np.where(np.arange(len(last))[:, None] > 0, cycle + np.roll(last, 1) + 1, cycle)
    # Steps issue one per cycle, except that the last of a tile may wait for its interval.
    cycle[:, tiles.steps - 1 :] = last
    first = np.full(feature_words, NEVER)
    # Backwards: of equal words the last assignment stays, which is then the earliest read.
    cycles = np.broadcast_to(cycle[..., None], address.shape)[inside]
    first[address[inside][::-1]] = cycles[::-1]
    if tiles.skip:
        skip = access.skip_reads(tiles)
        exists = skip < feature_words  # a column without a pixel may name any word
        np.minimum.at(first, skip[exists], np.broadcast_to(last, skip.shape)[exists])
    return first


def _writes(tiles, config):
    address, valid = access.writes(tiles)
    last = _last_steps(tiles)
    # Results of a tile are written pass by pass, and in each turn by turn.
    turn = np.arange(tiles.written) // config.epilogue_words
    slot = np.arange(tiles.passes)[:, None] * tiles.turns(config) + turn
    early = (last[-1] - last)[:, None, None] - 1 - slot
    valid = np.broadcast_to(valid[:, None], address.shape)
    words = address[valid]
    first, stop = int(words.min(initial=ADDRESS_MASK)), int(words.max(initial=-1)) + 1
    return _Written(words, early[valid], int(early.min()), first, stop, tiles.late(config))
