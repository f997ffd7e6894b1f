"""The sequencer and the array behind it: when each computation starts, writes and ends."""

import numpy as np

from hw.spec.config import SvpeConfig
from hw.spec.isa import access
from hw.spec.isa.tiles import Tiles
from hw.spec.timing import (
    FINISH_LATENCY,
    INSTRUCTION_GAP,
    INSTRUCTION_LEAST,
    ISSUE_LATENCY,
    write_latency,
)
from sim.cycles.never import NEVER
from sim.spent import SpentCycles, spent


class Array:
    """The sequencer: see ``hw.spec.timing`` for the rule."""

    def __init__(self, config: SvpeConfig):
        self.config, self.latency = config, write_latency(config)
        self.late = 0  # of the newest instruction
        self.free = 0  # from when on one instruction can wait at the sequencer
        self.first = self.last = -NEVER
        self.interval = 0
        # Banks, a bit each, of the words of the epilogue, and of loaded words.
        self.writing: dict[int, int] = {}
        self.loading: dict[int, int] = {}
        every = sum(1 << bank for bank in range(0, config.banks, config.sides))
        self.sides = [every << side for side in range(config.sides)]

    def _note_writes(self, tiles, first_write):
        """Note the addresses of the words that the epilogue writes, and their cycles."""
        address, valid = access.writes(tiles)
        number, passes, columns = address.shape
        cycle = first_write + np.arange(number)[:, None, None] * tiles.tile_cycles
        turn = np.arange(columns) // self.config.epilogue_words
        cycle = cycle + np.arange(passes)[:, None] * tiles.turns(self.config) + turn
        valid = np.broadcast_to(valid[:, None], address.shape)
        banks = address[valid] % self.config.banks
        for when, bank in zip(cycle[valid].tolist(), banks.tolist(), strict=True):
            self.writing[when] = self.writing.get(when, 0) | 1 << bank

    def settled(self, now: int) -> int:
        """The last cycle whose results are known in the cycle ``now``.

        Those of an instruction that is offered from now on come later.
        """
        return now + ISSUE_LATENCY + self.latency - 1

    def takes(self, when: int, address: int) -> bool:
        """Whether the banks take a feature word of a load that is offered in a cycle.

        It waits for results on its side of them.
        """
        if self.writing.get(when, 0) & self.sides[address % self.config.sides]:
            return False
        self.loading[when] = 1 << address % self.config.banks
        return True

    def meets(self, when: int, address: int) -> bool:
        """Whether something else takes the bank of ``address``, which a store would read."""
        taken = self.writing.get(when, 0) | self.loading.get(when, 0)
        return bool(taken >> address % self.config.banks & 1)

    def issue(self, tiles: Tiles, offered: int) -> tuple[int, int, int]:
        """Cycles of the first step, the last write and the ``finished`` pulse."""
        drained = self.last + self.latency + self.late + self.interval - tiles.fence
        self.before = max(0, self.last + 1)
        follows = max(self.first + INSTRUCTION_LEAST, self.last + INSTRUCTION_GAP)
        self.let = max(drained, follows, self.free + ISSUE_LATENCY)
        self.start = first = max(offered + ISSUE_LATENCY, self.let)
        first, last = span(tiles, first, self.last + self.interval)
        self.first, self.last, self.interval = first, last, tiles.interval
        # The next one is offered as this one leaves the queue, and starts no earlier than it may.
        self.free, self.steps = first + INSTRUCTION_LEAST - ISSUE_LATENCY, tiles.tiles * tiles.steps
        self.late = tiles.late(self.config)
        last_tile = last + self.latency + self.late  # its first write
        self._note_writes(tiles, last_tile - (tiles.tiles - 1) * tiles.tile_cycles)
        return first, last_tile + _last_write(tiles, self.config), finish(tiles, self.config, last)

    def spent(self, came: dict[str, int]) -> SpentCycles:
        """The stall breakdown of the newest instruction, whose tokens came at ``came``."""
        # A cause is over when the instruction could have started without it.
        ready = {cause: when + ISSUE_LATENCY for cause, when in came.items()}
        return spent(
            before=self.before,
            ready={**ready, "dependence": self.let},
            start=self.start,
            last=self.last,
            steps=self.steps,
        )


def span(tiles: Tiles, first: int, earliest: int) -> tuple[int, int]:
    """Cycles of the first and the last step of a computation.

    Parameters
    ----------
    first : cycle in which the first step could be
    earliest : of the last step of its first tile, which waits for the interval of the tile before
    """
    last = max(first + tiles.steps - 1, earliest)
    if tiles.steps == 1:
        first = last
    return first, last + (tiles.tiles - 1) * tiles.tile_cycles


def finish(tiles: Tiles, config: SvpeConfig, last: int) -> int:
    """The cycle of the ``finished`` pulse of a computation whose last step is in cycle ``last``."""
    # The epilogue takes its turns also for pixels that it then does not write.
    writes = tiles.write_cycles(config) - 1
    return last + write_latency(config) + tiles.late(config) + writes + FINISH_LATENCY


def _last_write(tiles, config):
    """Cycles from a last tile's first write to its last one that is inside the output."""
    # The last tile may reach beyond the output.
    x = tiles.output_width - (tiles.tiles_x - 1) * tiles.tile_width
    y = tiles.output_height - (tiles.tiles_y - 1) * tiles.tile_height
    column = (min(y, tiles.tile_height) - 1) * tiles.tile_width
    column += min(x, tiles.tile_width) - 1
    return (tiles.passes - 1) * tiles.turns(config) + column // config.epilogue_words
