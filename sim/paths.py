"""The rule of ``arbiter.sv`` for the cycle model: round robin, burst by burst."""


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
        self.free = [0] * count
        self.ports, self.first = ports, 0
        self.memory = memory or SharedMemory(None)

    def next(self, asks: list[int]) -> tuple[int, int]:
        """Cycle and port of the next burst, where port p's is ready at ``asks[p]``."""
        # A burst needs a free path, a port that asks, and what the memory can move.
        when = max(min(self.free), min(asks), self.memory.free)
        order = ((self.first + i) % self.ports for i in range(self.ports))
        return when, next(port for port in order if asks[port] <= when)

    def take(self, port: int, when: int, beats: int) -> None:
        """Give the port a path for a burst of ``beats``, from cycle ``when`` on."""
        self.free[self.free.index(min(self.free))] = when + beats
        # Round robin: who was served comes last the next time.
        self.first = (port + 1) % self.ports
