"""The buses of one core: bursts of reads and of writes, and when their beats go."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from hw.spec.timing import (
    READ_REUSE_LATENCY,
    READS_OUTSTANDING,
    WRITE_REUSE_LATENCY,
    WRITES_OUTSTANDING,
)
from sim.cycles.never import NEVER
from sim.cycles.runs import Burst
from sim.cycles.store import StoreWords
from sim.dram import Channel

WRITE_DATA_LATENCY = 2  # of `memory.sv`: from a write's address to its first beat


@dataclass
class ReadBurst:
    """A burst under way to the load or the fetch: beats that are left, and when they are due."""

    reader: str
    beats: int
    due: int


class ReadBus:
    """Grants of one burst per cycle, and its beats, in the order of the grants.

    Parameters
    ----------
    room : tells from when on one more beat has room; NEVER while that is not known
    """

    def __init__(self, channel: Channel, room: Callable[[], int]):
        self.channel, self._room = channel, room
        self.open: deque[ReadBurst] = deque()
        self.next_grant = 0
        self.free = 0  # the data channel
        self.granted = {"load": 0, "fetch": 0}
        self.ended: dict[str, list[int]] = {"load": [], "fetch": []}  # cycles after the last beats

    def earliest(self, reader, ask):
        """When a burst asked for at ``ask`` can be granted."""
        # It takes the place of the burst that was granted so many before it.
        before = self.granted[reader] - READS_OUTSTANDING
        if ask == NEVER or before >= len(self.ended[reader]):
            return NEVER
        free = self.ended[reader][before] - 1 + READ_REUSE_LATENCY if before >= 0 else 0
        return max(ask, free, self.next_grant)

    def grant(self, when, burst):
        self.open.append(burst)
        self.granted[burst.reader] += 1
        self.next_grant = when + 1

    def next_beat(self):
        """When the next beat is taken where its port has a path; NEVER while that is not known."""
        if not self.open:
            return NEVER
        return max(self._there(), self._room())

    def burst_beats(self):
        """Beats that are left of the burst of that beat."""
        return self.open[0].beats

    def take(self, when):
        """Take that beat in the cycle ``when``: its reader, and whether it ends a burst."""
        burst = self.open[0]
        # What waits is paid for meanwhile: the rate holds up no beat behind it again.
        self.channel.send(self._there(), 1)
        self.free = when + 1
        burst.beats -= 1
        if not burst.beats:
            self.open.popleft()
            self.ended[burst.reader].append(self.free)
        return burst.reader, not burst.beats

    def _there(self):
        """When the memory has the next beat on the bus."""
        return max(self.open[0].due, self.free, self.channel.free)


class WriteBus:
    """Bursts of the store engine in order, and their responses."""

    def __init__(self, channel: Channel, latency: int, words: StoreWords):
        self.channel, self.latency, self._words = channel, latency, words
        self.open: deque[tuple[Burst, int]] = deque()  # and when the address was sent
        self.next_send = 0
        self.sent, self.left = 0, 0  # bursts, and beats of the oldest that have not gone
        self.free = 0  # the data channel
        self.answers: list[int] = []

    def earliest(self, ask):
        """When a burst asked for at ``ask`` can be sent."""
        # The oldest write must be answered before another address may go out.
        before = self.sent - WRITES_OUTSTANDING
        if ask == NEVER or before >= len(self.answers):
            return NEVER
        free = self.answers[before] + WRITE_REUSE_LATENCY if before >= 0 else 0
        return max(ask, free, self.next_send)

    def send(self, when, burst):
        self.open.append((burst, when))
        self.sent += 1
        self.next_send = when + 1

    def next_beat(self):
        """When the next beat is taken where its port has a path; NEVER while that is not known."""
        return max(self._offered(), self.channel.free) if self.open else NEVER

    def burst_beats(self):
        """Beats that are left of the burst of that beat."""
        return self.left or self.open[0][0].beats

    def take(self, when):
        """Take that beat in the cycle ``when``: its burst, and whether it ends it."""
        self._words.sent(self._offered())
        self.channel.send(when, 1)
        self.free = when + 1
        burst, _ = self.open[0]
        self.left = self.burst_beats() - 1
        if not self.left:
            self.open.popleft()
            # The response comes a latency after the last beat.
            self.answers.append(when + self.latency)
        return burst, not self.left

    def _offered(self):
        """When the next beat is on W."""
        _, address = self.open[0]
        return max(self._words.next_beat(), self.free, address + WRITE_DATA_LATENCY)
