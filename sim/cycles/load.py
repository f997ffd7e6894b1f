"""The load engine's memory side: when each burst of its transfers can be asked for."""

from collections import deque
from dataclasses import dataclass

from hw.spec.timing import LOAD_ADDRESS_LATENCY
from sim.cycles.never import NEVER

# From the cycle in which the splitter begins with a run to its first burst on AR, where nothing
# else is in the way; what is before it takes the rest of the latency.
CUT_LATENCY = 2
MOVE_LATENCY = LOAD_ADDRESS_LATENCY - CUT_LATENCY - 2


@dataclass
class RunBursts:
    """Beats of a run's bursts; of the first run of a transfer, when that was taken."""

    bursts: deque[tuple[int, int, bool]]  # beats, index of the transfer, whether it is its last
    taken: int | None


class LoadRuns:
    """One transfer waits, one gives its runs, one run waits to be cut, and one is cut."""

    def __init__(self):
        self._runs: list[RunBursts] = []
        self._accepted: list[int] = []  # when each run left the generator for the splitter
        self._begun: list[int] = []  # when the splitter began with each
        self._bursts: deque[tuple[int, int, bool]] = deque()  # left of the run that is cut
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

    def take(self, runs: list[list[int]], index: int, when: int) -> None:
        """Count a transfer, the beats of whose runs' bursts these are, as taken."""
        self._newest = len(self._runs)
        for number, bursts in enumerate(runs):
            ends = number == len(runs) - 1
            each = deque((beats, index, False) for beats in bursts)
            each[-1] = (*each[-1][:2], ends)
            self._runs.append(RunBursts(each, None if number else when))

    def ask(self) -> int:
        """When the next burst can be on AR."""
        self._settle()
        return self._ask if self._bursts else NEVER

    def grant(self, when: int) -> tuple[int, int, bool]:
        """The burst that is on AR in the cycle ``when``."""
        self._granted, self._ask = when - 1, when + 1
        return self._bursts.popleft()

    def _moved(self, number):
        """When the transfer whose first run this is came to the generator."""
        before = self._accepted[number - 1] + 1 if number else 0
        return max(self._runs[number].taken + MOVE_LATENCY, before)

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
        begun = max(self._accepted[number] + 1, self._granted)
        self._begun.append(begun)
        self._bursts, self._ask = self._runs[number].bursts, begun + CUT_LATENCY
