"""The instruction fetch: bursts of the program, and the instructions that come of their beats."""

from hw.spec.config import SvpeConfig
from hw.spec.isa.header import INSTRUCTION_BITS
from hw.spec.timing import (
    DISPATCH_GAP,
    DISPATCH_LATENCY,
    FETCH_BUFFER_BEATS,
    FETCH_BURST_BEATS,
    FETCH_GAP,
    FETCH_LATENCY,
    FETCH_ROOM_LATENCY,
)
from sim.cycles.never import NEVER


class FetchModel:
    """The program's beats on their way to the dispatch, which takes the instructions in order."""

    def __init__(self, config: SvpeConfig, instructions: int):
        self._beats_each = INSTRUCTION_BITS // config.bus_bits
        self._left = instructions * self._beats_each
        self._room = FETCH_BUFFER_BEATS
        self._next = FETCH_LATENCY
        self._arrived: list[int] = []  # cycle of each instruction's last beat
        self._partial = 0
        self._assembled = 0  # instructions that have left the buffer for its register
        self._assembled_at = 0
        self._last_dispatch = -NEVER
        self.dispatched = 0

    def ask(self) -> tuple[int, int]:
        """When the next burst can be asked for, and its beats."""
        if not self._left:
            return NEVER, 0
        # The last burst of a program is shorter.
        beats = min(FETCH_BURST_BEATS, self._left)
        return (self._next, beats) if self._room >= FETCH_BURST_BEATS else (NEVER, 0)

    def granted(self, when: int, beats: int) -> None:
        """Count a burst that is on its way."""
        self._left -= beats
        self._room -= beats
        self._next = when + FETCH_GAP

    def came(self, cycle: int) -> None:
        """Count a beat that arrives in the cycle ``cycle``."""
        self._partial += 1
        if self._partial == self._beats_each:
            self._arrived.append(cycle)
            self._partial = 0

    def assemble(self, when: int | None) -> int | None:
        """Move beats out of the buffer, one per cycle, once the instruction before has left."""
        if self._assembled > self.dispatched or self._assembled == len(self._arrived):
            return NEVER
        there = self._arrived[self._assembled] + DISPATCH_LATENCY - 1
        # One instruction is put together at a time, a beat per cycle.
        ready = max(there, self._last_dispatch + DISPATCH_GAP + self._beats_each)
        if when is None:
            return ready
        self._assembled += 1
        self._assembled_at = when
        # The buffer's room comes back with an instruction that leaves it.
        self._room += self._beats_each
        self._next = max(self._next, when + FETCH_ROOM_LATENCY)
        return None

    def ready(self) -> int:
        """When the next instruction can be dispatched, as far as the fetch is concerned."""
        return NEVER if self.dispatched == self._assembled else self._assembled_at

    def dispatch(self, when: int) -> None:
        """Give the next instruction away."""
        self.dispatched += 1
        self._last_dispatch = when
