"""What runs cost, and how plans are compared by it."""

from collections.abc import Iterable
from dataclasses import dataclass

from qnn.compiler.runs import Choice

NO_CHANGE = (0, 0, 0.0)  # of a cost


@dataclass(frozen=True)
class PlanCost:
    """Runs that no strip height makes possible, words that are missing, then cycles."""

    # Compared first: a plan that cannot be is worse than any that lacks words, however many.
    impossible: int
    missing: int
    cycles: float

    @staticmethod
    def of(choices: Iterable[Choice]) -> "PlanCost":
        """The cost of some runs, each as it was chosen."""
        choices = tuple(choices)
        return PlanCost(
            sum(c.missing < 0 for c in choices),
            sum(c.missing for c in choices),
            # Of what fits: infinite cycles of others would hide what a change costs these.
            sum(c.cycles for c in choices if c.run is not None),
        )

    def change(self, before: "PlanCost") -> tuple:
        """What this costs more than ``before`` did, to be compared in this order."""
        return (
            self.impossible - before.impossible,
            self.missing - before.missing,
            self.cycles - before.cycles,
        )
