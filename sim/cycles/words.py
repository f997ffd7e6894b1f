"""The load engine's word side: when beats leave its buffer, and when each word is written."""

from collections import deque
from collections.abc import Callable, Iterator

from hw.spec.config import SvpeConfig
from hw.spec.isa.buffers import Buffer
from hw.spec.isa.transfer import Transfer
from hw.spec.timing import (
    LOAD_BEAT_LATENCY,
    LOAD_BUFFER_BEATS,
    LOAD_ROOM_LATENCY,
    LOAD_WORD_LATENCY,
)
from sim.cycles.array import Array
from sim.cycles.never import NEVER

OFFER_LATENCY = LOAD_WORD_LATENCY - LOAD_BEAT_LATENCY  # from a word's last beat in its register


class LoadWords:
    """One word is put together at a time, a beat per cycle, and its buffer takes it.

    A feature word waits for results on its side of the banks, and beats wait behind it. When it is
    written is settled once the array's results of that cycle are known.

    Parameters
    ----------
    ended : called with the index of a load and the cycle in which its last word is written
    """

    def __init__(self, config: SvpeConfig, array: Array, ended: Callable[[int, int], None]):
        self._config, self._array, self._ended = config, array, ended
        self._to_come: deque[Iterator[tuple[int, int | None, int | None]]] = deque()
        self._buffer: deque[int] = deque()  # cycles in which the beats were taken that wait in it
        # Cycles in which the newest beats left it, as many as it has places.
        self._left = deque([-NEVER] * LOAD_BUFFER_BEATS, maxlen=LOAD_BUFFER_BEATS)
        # Of the newest word: its beats that have not left, its place if it is one of features, and
        # the load that it ends.
        self._beats, self._place, self._ends = 0, None, None
        self._offered = NEVER  # since when it waits, as far as is settled
        self._written = 0  # when the newest one was, that has been

    def expect(self, index: int, load: Transfer) -> None:
        """Count a load, whose beats come behind those of all before."""
        self._to_come.append(_words(index, load, self._config))

    def room(self) -> int:
        """From when on there is room for one more beat; NEVER while that is not settled."""
        # It takes the place of the beat so many before it.
        waiting = len(self._buffer)
        return self._left[waiting] + LOAD_ROOM_LATENCY if waiting < LOAD_BUFFER_BEATS else NEVER

    def take(self, beat: int, now: int) -> None:
        """Count a beat that the bus gives in the cycle ``beat``, and settle what is known now."""
        self._buffer.append(beat)
        self.settle(now)

    def next_offer(self) -> int:
        """The first cycle in which the word that waits may be written; NEVER where none waits."""
        return self._offered

    def settled(self, next_beat: int) -> int:
        """Up to which cycle it is known what is written, where no beat comes before ``next_beat``.

        What is offered counts too.
        """
        leaves = max(next_beat + LOAD_BEAT_LATENCY, self._left[-1] + 1, self._written)
        return min(leaves + OFFER_LATENCY, self._offered) - 1

    def settle(self, now: int) -> None:
        """Write words up to the last cycle whose results are known in the cycle ``now``."""
        while self._offered != NEVER or self._buffer:
            if self._offered == NEVER and not self._put_together():
                continue
            if self._place is not None and not self._write(self._array.settled(now)):
                return
            self._written, self._offered = self._offered, NEVER
            if self._ends is not None:
                self._ended(self._ends, self._written)

    def _put_together(self):
        """Move a beat from the buffer to its word, and say whether that is whole."""
        if not self._beats:
            self._beats, self._place, self._ends = self._next_word()
        left = max(self._buffer.popleft() + LOAD_BEAT_LATENCY, self._left[-1] + 1, self._written)
        self._left.append(left)
        self._beats -= 1
        if not self._beats:
            self._offered = left + OFFER_LATENCY
        return not self._beats

    def _next_word(self):
        word = next(self._to_come[0], None)
        if word is None:
            self._to_come.popleft()
            return self._next_word()
        return word

    def _write(self, until):
        """Try each cycle up to ``until``, and say whether the word was written in one."""
        while self._offered <= until:
            if self._array.takes(self._offered, self._place):
                return True
            self._offered += 1
        return False


def _words(index, load, config):
    """Beats of each word, its address if it is one of features, and the load if it is its last."""
    each, features = load.buffer.word_beats(config), load.buffer is Buffer.FEATURES
    for row in range(load.rows):
        first = load.address + row * load.address_step
        for word in range(load.words):
            is_last = row == load.rows - 1 and word == load.words - 1
            yield each, first + word if features else None, index if is_last else None
