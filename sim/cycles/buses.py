"""The buses of one core: bursts of reads and of writes, and when their beats go."""

from collections import deque
from dataclasses import dataclass

from hw.spec.timing import (
    READ_REUSE_LATENCY,
    READS_OUTSTANDING,
    WRITE_REUSE_LATENCY,
    WRITES_OUTSTANDING,
)
from sim.cycles.never import NEVER
from sim.dram import Channel

WRITE_DATA_LATENCY = 2  # of `memory.sv`: from a write's address to its first beat


@dataclass
class Burst:
    """A read burst under way, for the transfer ``index``; the fetch has None."""

    beats: int
    due: int
    index: int | None
    last: bool


class ReadBus:
    """Grants of one burst per cycle, and its beats, in the order of the grants."""

    def __init__(self, channel: Channel):
        self.channel = channel
        self.open = {"load": deque(), "fetch": deque()}
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

    def grant(self, reader, when, burst):
        self.open[reader].append(burst)
        self.granted[reader] += 1
        self.next_grant = when + 1

    def next_service(self):
        due = [queue[0].due for queue in self.open.values() if queue]
        return max(self.free, self.channel.free, min(due)) if due else NEVER

    def serve(self, first, taken):
        """Give the waiting burst from cycle ``first`` on: its reader, it, and its beats' cycles.

        ``taken`` tells when a beat of a burst is taken that is there in a cycle.
        """
        asked = [name for name, queue in self.open.items() if queue]
        # The memory answers in the order in which addresses came.
        reader = min(asked, key=lambda name: self.open[name][0].due)
        burst = self.open[reader].popleft()
        beats, self.free = [], first
        for _ in range(burst.beats):
            # What waits is paid for meanwhile: the rate holds up no beat behind it again.
            beats.append(taken(burst, self.channel.send(self.free, 1)[0]))
            self.free = beats[-1] + 1
        self.ended[reader].append(self.free)
        return reader, burst, beats


class WriteBus:
    """Bursts of the store engine in order, and their responses."""

    def __init__(self, channel: Channel, latency: int):
        self.channel, self.latency = channel, latency
        self.asks: deque = deque()  # (cycles of address and beat at least, beats, index, last)
        self.address = 0  # cycle from which on AW is free
        self.free = 0  # the data channel
        self.answers: deque = deque(maxlen=WRITES_OUTSTANDING)

    def next_service(self):
        if not self.asks:
            return NEVER
        beat = max(self.asks[0][1], self._address() + WRITE_DATA_LATENCY)
        return max(beat, self.free, self.channel.free)

    def serve(self, first, reader):
        """Take the burst that waits, from cycle ``first`` on: each beat's cycle."""
        self.address = self._address() + 1
        beats = []
        for _ in range(self.asks.popleft()[2]):
            beats += self.channel.send(max(first, reader.next_beat()), 1)
            reader.sent(beats[-1])
        self.free = beats[-1] + 1
        # The response comes a latency after the last beat.
        self.answers.append(beats[-1] + self.latency)
        return beats

    def _address(self):
        """When the address of the burst that waits is taken."""
        at = max(self.asks[0][0], self.address)
        # The oldest write must be answered before another address may go out.
        if len(self.answers) == WRITES_OUTSTANDING:
            at = max(at, self.answers[0] + WRITE_REUSE_LATENCY)
        return at
