"""The store engine's words: when each is read from its bank, and when its beats can go."""

from collections import deque
from collections.abc import Callable

from hw.spec.config import SvpeConfig
from hw.spec.isa.buffers import Buffer
from hw.spec.isa.transfer import Transfer
from hw.spec.timing import STORE_BEAT_LATENCY, STORE_BUFFER_WORDS, STORE_LATENCY
from sim.cycles.never import NEVER

WORD_LATENCY = 2  # from a word's data to its first beat on W
REQUEST_LATENCY = STORE_BEAT_LATENCY - STORE_LATENCY - WORD_LATENCY


class StoreReader:
    """Words in order, one request per cycle, of which some wait for their banks.

    ``meets`` tells whether a result or a loaded word takes the bank of an address in a cycle.
    """

    def __init__(self, config: SvpeConfig, meets: Callable[[int, int], bool]):
        self._meets, self._each = meets, Buffer.FEATURES.word_beats(config)
        self._words: deque[tuple[int, int]] = deque()  # cycle at least, address
        self._asked = -NEVER  # cycle of the newest request
        self._left: deque[int] = deque(maxlen=STORE_BUFFER_WORDS)  # cycles of words' last beats
        self._beat = self._ready = 0

    def take(self, store: Transfer, when: int) -> None:
        """Ask for the words of a transfer that is taken in the cycle ``when``."""
        for row in range(store.rows):
            first = store.address + row * store.address_step
            self._words += [(when + REQUEST_LATENCY, first + n) for n in range(store.words)]

    def next_beat(self) -> int:
        """The first cycle in which the next beat can be on W."""
        if self._beat == 0:
            earliest, address = self._words.popleft()
            asked = max(earliest, self._asked + 1)
            # There is room for a word once the last beat of one so many before it has gone.
            if len(self._left) == STORE_BUFFER_WORDS:
                asked = max(asked, self._left[0])
            while self._meets(asked, address):
                asked += 1
            self._asked, self._ready = asked, asked + STORE_LATENCY + WORD_LATENCY
        return self._ready

    def sent(self, when: int) -> None:
        """Count the next beat, which is on W in the cycle ``when``."""
        self._beat = (self._beat + 1) % self._each
        if self._beat == 0:
            self._left.append(when)
