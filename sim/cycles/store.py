"""The store engine's word side: when each word is read from its bank, and when its beats can go."""

from collections import deque
from collections.abc import Callable

from hw.spec.config import SvpeConfig
from hw.spec.isa.buffers import Buffer
from hw.spec.isa.transfer import Transfer
from hw.spec.timing import (
    REQUEST_STAGES,
    STORE_BEAT_LATENCY,
    STORE_BUFFER_WORDS,
    STORE_LATENCY,
)
from sim.cycles.never import NEVER

WORD_LATENCY = 2  # from a word's data to its first beat on W
REQUEST_LATENCY = STORE_BEAT_LATENCY - STORE_LATENCY - WORD_LATENCY


class StoreWords:
    """Words in order, one request per cycle, of which some wait for their banks.

    ``meets`` tells whether a result or a loaded word takes the bank of an address in a cycle.
    """

    def __init__(self, config: SvpeConfig, meets: Callable[[int, int], bool]):
        self._meets, self._each = meets, Buffer.FEATURES.word_beats(config)
        self._words: deque[tuple[int, int]] = deque()  # cycle at least, address
        self._next = 0  # no request comes before
        self._read: deque[int] = deque()  # when each word that was read can be on W
        # Cycles in which the newest words' last beats came on W: there is room for as many.
        self._left = deque([-NEVER] * STORE_BUFFER_WORDS, maxlen=STORE_BUFFER_WORDS)
        self._beat = 0

    def take(self, store: Transfer, when: int) -> None:
        """Ask for the words of a transfer that is taken in the cycle ``when``."""
        for row in range(store.rows):
            first = store.address + row * store.address_step
            self._words += [(when + REQUEST_LATENCY, first + n) for n in range(store.words)]

    def next_request(self) -> int:
        """The first cycle in which the next word may be read; NEVER while there is no room."""
        waiting = len(self._read)
        if not self._words or waiting == STORE_BUFFER_WORDS:
            return NEVER
        asked = max(self._words[0][0], self._left[waiting])
        return max(asked + REQUEST_STAGES, self._next)

    def settle(self, until: int) -> None:
        """Read words up to the cycle ``until``, up to which it is known what takes the banks."""
        while (asked := self.next_request()) <= until:
            self._next = asked + 1
            if not self._meets(asked, self._words[0][1]):
                self._words.popleft()
                self._read.append(asked + STORE_LATENCY - REQUEST_STAGES + WORD_LATENCY)

    def next_beat(self) -> int:
        """When the next beat can be on W; NEVER while that is not settled."""
        return self._read[0] if self._read else NEVER

    def sent(self, when: int) -> None:
        """Count the next beat, which comes on W in the cycle ``when``."""
        self._beat = (self._beat + 1) % self._each
        if self._beat == 0:
            self._read.popleft()
            self._left.append(when)
