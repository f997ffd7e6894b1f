"""The stall breakdown: what the array's cycles go to, products or one cause of waiting."""

from dataclasses import astuple, dataclass

# In the order in which a tie is decided: nearer to the array first.
CAUSES = ("dependence", "load", "store", "fetch")


@dataclass(frozen=True, kw_only=True)
class SpentCycles:
    """Cycles of one instruction, or of many; one after another, they add up to a run's.

    Members
    -------
    issue : steps of the array, one per cycle
    interval : the epilogue had not finished the tile before
    dependence : results that are read had not landed, or the sequencer was not ready for the next
    load, store : a token of that engine had not come
    fetch : the instruction had not come
    """

    issue: int = 0
    interval: int = 0
    dependence: int = 0
    load: int = 0
    store: int = 0
    fetch: int = 0

    def __add__(self, other: "SpentCycles") -> "SpentCycles":
        sums = (a + b for a, b in zip(astuple(self), astuple(other), strict=True))
        return SpentCycles(**dict(zip(self.__dataclass_fields__, sums, strict=True)))

    @property
    def cycles(self) -> int:
        """The sum of all causes."""
        return sum(astuple(self))


def spent(*, before: int, ready: dict[str, int], start: int, last: int, steps: int) -> SpentCycles:
    """The cycles of an instruction that ran from ``before`` to ``last``, by what they went to.

    Parameters
    ----------
    before : first cycle after the previous instruction's last step
    ready : when each cause would have let it start
    start : when the causes let it start, at least ``before``
    last : cycle of its last step
    steps : steps of all its tiles

    The whole wait before ``start`` is the cause's that ended last.
    """
    cause = max(CAUSES, key=lambda name: ready.get(name, 0))
    taken = {cause: start - before, "issue": steps, "interval": last + 1 - start - steps}
    return SpentCycles(**taken)
