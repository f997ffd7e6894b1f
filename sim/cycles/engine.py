"""An engine of one core: its queue, and the instructions that it has taken."""

from collections import deque
from dataclasses import dataclass, field

from hw.spec.timing import QUEUE_DEPTH, TRANSFERS_IN_FLIGHT
from sim.cycles.never import NEVER


@dataclass
class EngineState:
    """What waits before an engine, and the cycles of what it has taken and finished."""

    queue: deque = field(default_factory=deque)  # (index, cycle of the offer)
    taken: list = field(default_factory=list)  # cycles
    spans: list = field(default_factory=list)  # (taken, finished)
    stalled: int = 0

    def busy_cycles(self) -> int:
        """Cycles covered by any span."""
        total, end = 0, 0
        # Spans overlap: an engine has several transfers in flight.
        for start, stop in sorted(self.spans):
            total += max(0, stop - max(start, end))
            end = max(end, stop)
        return total

    def queue_ready(self) -> int:
        """When the queue can take one more instruction."""
        if len(self.queue) >= QUEUE_DEPTH:
            return NEVER
        # The last place is free one cycle after the head that left it.
        full = len(self.queue) == QUEUE_DEPTH - 1 and self.taken
        return self.taken[-1] + 1 if full else 0

    def next_take(self) -> int:
        """When the engine can take one more instruction behind those in flight."""
        if len(self.taken) < TRANSFERS_IN_FLIGHT:
            return 0
        oldest = len(self.taken) - TRANSFERS_IN_FLIGHT
        return self.spans[oldest][1] if oldest < len(self.spans) else NEVER

    def head(self) -> int:
        """The cycle in which the queue's first instruction is offered to the engine."""
        return max(self.queue[0][1], self.taken[-1] + 1 if self.taken else 0)

    def take(self, when: int, stalled: int) -> None:
        """Take the queue's first instruction, which waited ``stalled`` cycles for tokens."""
        self.stalled += stalled
        self.queue.popleft()
        self.taken.append(when)

    def finish(self, when: int) -> None:
        """The oldest instruction that is not finished ends in the cycle ``when``."""
        self.spans.append((self.taken[len(self.spans)], when + 1))
