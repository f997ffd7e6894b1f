"""The rule of ``arbiter.sv`` for the cycle model: round robin, burst by burst."""

from sim.cycles.never import NEVER


class SharedMemory:
    """What the paths of all ports and both ways end at: it moves ``rate`` bytes per cycle.

    Bursts start at that rate in the mean; None is a memory as fast as its paths.
    """

    def __init__(self, rate: float | None):
        self._rate, self._moved = rate, 0.0

    @property
    def free(self) -> int:
        """The first cycle in which another burst can start."""
        return 0 if self._rate is None else int(self._moved / self._rate)

    def take(self, start: int, moved: int) -> None:
        """Count a burst of ``moved`` bytes that starts in the cycle ``start``."""
        if self._rate is not None:
            self._moved = max(start * self._rate, self._moved) + moved


class Paths:
    """``count`` data paths, each of one beat per cycle, that ``ports`` share."""

    def __init__(self, ports: int, count: int, memory: SharedMemory | None = None):
        self._free = [0] * count  # from when on each path is, that no port holds
        self._holds: set[int] = set()  # ports whose burst has begun and not ended
        self._ports, self._first = ports, 0
        self._memory = memory or SharedMemory(None)

    def next(self, asks: list[int]) -> tuple[int, int]:
        """Cycle and port of the next beat, where port p's is ready at ``asks[p]``."""
        # To begin, a burst needs a free path and what the memory can move.
        free = max(min(self._free, default=NEVER), self._memory.free)
        starts = [ask if p in self._holds else max(ask, free) for p, ask in enumerate(asks)]
        when = min(starts)
        order = ((self._first + i) % self._ports for i in range(self._ports))
        return when, next(port for port in order if starts[port] == when)

    def begin(self, port: int, when: int, moved: int) -> None:
        """Give the port a path for a burst of ``moved`` bytes, unless it holds one for it."""
        if port not in self._holds:
            self._holds.add(port)
            self._free.remove(min(self._free))
            # Round robin: who was served comes last the next time.
            self._first = (port + 1) % self._ports
            self._memory.take(when, moved)

    def end(self, port: int, when: int) -> None:
        """Take the path back for others, from the cycle ``when`` on."""
        self._holds.remove(port)
        self._free.append(when)
