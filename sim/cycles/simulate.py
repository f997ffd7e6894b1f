"""Cores and their shared memory, event by event, until nothing is left to do."""

from functools import partial
from operator import attrgetter

from hw.spec.image import Image
from sim.cycles.core import CoreModel
from sim.cycles.never import NEVER
from sim.cycles.paths import Paths, SharedMemory
from sim.cycles.timing import Timing, timing


def simulate_cycles(image: Image, latency: int = 32, bytes_per_cycle: int | None = None) -> Timing:
    """The timing of one run on one core; see ``simulate_cores``."""
    return simulate_cores(image, 1, latency, bytes_per_cycle)[0]


def simulate_cores(
    image: Image,
    cores: int,
    latency: int = 32,
    bytes_per_cycle: int | None = None,
    *,
    paths: int = 1,
    memory_bytes_per_cycle: float | None = None,
) -> tuple[Timing, ...]:
    """The timing of a run on each of ``cores``, which start in one cycle.

    Parameters
    ----------
    latency : of the memory, from an address to its first beat
    bytes_per_cycle : that each core's port moves in each direction; None for the width of the bus
    paths : ports that move beats at a time, each way; the rest wait for their turn
    memory_bytes_per_cycle : that all cores move together, reads and writes; None for no limit
    """
    rate = bytes_per_cycle or image.config.bus_bytes
    running = [CoreModel(image, latency, rate) for _ in range(cores)]
    memory = SharedMemory(memory_bytes_per_cycle)
    _run(running, Paths(cores, paths, memory), Paths(cores, paths, memory))
    return tuple(timing(image, core) for core in running)


def _run(cores, reads: Paths, writes: Paths):
    """Let the earliest of all parts act until none can."""

    def serve(paths, bus_of, take, when):
        start, port = paths.next([bus_of(core).next_beat() for core in cores])
        if when is None:
            return start
        core = cores[port]
        paths.begin(port, start, bus_of(core).burst_beats() * core.config.bus_bytes)
        end = take(core, start)
        if end is not None:
            paths.end(port, end)
        return None

    actions = [
        partial(serve, reads, attrgetter("reads"), CoreModel.read),
        partial(serve, writes, attrgetter("writes"), CoreModel.write),
        *(action for core in cores for action in core.actions()),
    ]
    while True:
        # Every part says when it could act; nothing changes by asking.
        times = [action(None) for action in actions]
        when = min(times)
        if when == NEVER:
            break
        # Of several in one cycle the first in the list acts: the buses before the engines.
        actions[times.index(when)](when)
