"""The memory side of load or store engine: when each burst of its transfers can be asked for."""

from collections import deque
from dataclasses import dataclass

from hw.spec.config import SvpeConfig
from hw.spec.isa.transfer import Transfer
from hw.spec.timing import BURST_GAP, MAX_BURST_BEATS
from sim.cycles.never import NEVER

# From the cycle in which the splitter begins with a run to its first burst's address on the bus,
# where nothing else is in the way; what is before it takes the rest of the latency.
CUT_LATENCY = 2
ACCEPT_LATENCY = 2  # and from the generator to there


@dataclass(frozen=True)
class Burst:
    """So many beats; the last burst of a transfer has its instruction's index."""

    beats: int
    ends: int | None


@dataclass
class RunBursts:
    """A run's bursts; of the first run of a transfer, when that was taken."""

    bursts: deque[Burst]
    taken: int | None


class Runs:
    """One transfer waits, one gives its runs, one run waits to be cut, and one is cut."""

    def __init__(self, config: SvpeConfig, latency: int):
        self._config = config
        self._move_latency = latency - CUT_LATENCY - ACCEPT_LATENCY
        self._runs: list[RunBursts] = []
        self._accepted: list[int] = []  # when each run left the generator for the splitter
        self._begun: list[int] = []  # when the splitter began with each
        self._bursts: deque[Burst] = deque()  # left of the run that is cut
        self._newest = 0  # first run of the newest transfer
        self._granted = self._ask = 0

    def next_take(self) -> int:
        """When the next transfer can be taken: once the newest is with the generator."""
        if not self._runs:
            return 0
        self._settle()
        if len(self._accepted) < self._newest:
            return NEVER
        return self._moved(self._newest) + 1

    def take(self, index: int, transfer: Transfer, when: int) -> None:
        """Count a transfer as taken."""
        self._newest = len(self._runs)
        for row in range(transfer.rows):
            ends = index if row == transfer.rows - 1 else None
            bursts = deque(_bursts(transfer, row, ends, self._config))
            self._runs.append(RunBursts(bursts, None if row else when))

    def ask(self) -> int:
        """When the address of the next burst can be on the bus."""
        self._settle()
        return self._ask if self._bursts else NEVER

    def grant(self, when: int) -> Burst:
        """The burst whose address is on the bus in the cycle ``when``."""
        self._granted, self._ask = when - 1, when + BURST_GAP
        return self._bursts.popleft()

    def _moved(self, number):
        """When the transfer whose first run this is came to the generator."""
        before = self._accepted[number - 1] + 1 if number else 0
        return max(self._runs[number].taken + self._move_latency, before)

    def _settle(self):
        """Go on as far as what was granted decides."""
        while True:
            accepted, begun = len(self._accepted), len(self._begun)
            if accepted < len(self._runs) and accepted <= begun:
                self._accept(accepted)
            elif begun < accepted and not self._bursts:
                self._begin(begun)
            else:
                break

    def _accept(self, number):
        first = self._runs[number].taken is not None
        offered = self._moved(number) + 1 if first else self._accepted[number - 1] + 1
        free = self._begun[number - 1] + 1 if number else 0
        self._accepted.append(max(offered, free))

    def _begin(self, number):
        begun = max(self._accepted[number], self._granted) + 1
        self._begun.append(begun)
        self._bursts, self._ask = self._runs[number].bursts, begun + CUT_LATENCY


def _bursts(transfer, row, ends, config):
    """The bursts of a row, cut at multiples of the longest one."""
    beat = (transfer.offset + row * transfer.offset_step) // config.bus_bytes
    left = transfer.run_beats(config)
    while left:
        beats = min(left, MAX_BURST_BEATS - beat % MAX_BURST_BEATS)
        beat, left = beat + beats, left - beats
        yield Burst(beats, None if left else ends)
