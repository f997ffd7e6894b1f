"""Judges every fault of a campaign but those whose outcome is known, and keeps each outcome."""

from collections.abc import Callable
from typing import Protocol

from qnn.bench.faults.outcome import PlantedFault
from qnn.bench.faults.outcome_file import OutcomeFile
from qnn.interrupt import Interrupted, stoppable

Progress = Callable[[int, int], None]  # done, in all


class Planting(Protocol):
    """Faults that are planted in something, and how each is judged."""

    @property
    def digest(self) -> str:
        """A name for these faults in what has them: the same faults have the same."""
        ...

    @property
    def faults(self) -> list[str]:
        """What each fault changes."""
        ...

    def judge(self, number: int) -> PlantedFault:
        """What becomes of the fault of a number, from 0."""
        ...


def carry_out(planting: Planting, kept: OutcomeFile, report: Progress) -> list[PlantedFault]:
    """The outcomes of all faults, in order.

    Raises
    ------
    Interrupted
        A signal asked to stop; the file has what was judged until then.
    """
    known = kept.known(planting.digest)
    outcomes: list[PlantedFault] = []
    count = len(planting.faults)
    with stoppable() as asked:
        for number in range(count):
            if number not in known:
                known[number] = planting.judge(number)
                # Ctrl-C ends the simulators, too: what they seemed to find then is no outcome.
                if asked():
                    raise Interrupted(_stopped(number, count, kept))
                kept.add(planting.digest, number, known[number])
            outcomes.append(known[number])
            report(len(outcomes), count)
    return outcomes


def _stopped(done, count, kept):
    left = "" if kept.path is None else f", whose outcomes {kept.path} has"
    return f"stopped after {done} of {count} faults{left}"
