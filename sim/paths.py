"""The rule of ``arbiter.sv`` for the cycle model: round robin, burst by burst."""


class Paths:
    """``count`` data paths, each of one beat per cycle, that ``ports`` share."""

    def __init__(self, ports: int, count: int):
        self.free = [0] * count
        self.ports, self.first = ports, 0

    def next(self, asks: list[int]) -> tuple[int, int]:
        """Cycle and port of the next burst, where port p's is ready at ``asks[p]``."""
        # A burst needs a free path and a port that asks.
        when = max(min(self.free), min(asks))
        order = ((self.first + i) % self.ports for i in range(self.ports))
        return when, next(port for port in order if asks[port] <= when)

    def take(self, port: int, when: int, beats: int) -> None:
        """Give the port a path for a burst of ``beats``, from cycle ``when`` on."""
        self.free[self.free.index(min(self.free))] = when + beats
        # Round robin: who was served comes last the next time.
        self.first = (port + 1) % self.ports
