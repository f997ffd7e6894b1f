"""Float networks of the same values that designs may be built from."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from qnn.ptq.auto.held_out import Loss
from qnn.ptq.calibrated import Calibrated

CLEARLY = 0.8  # of a distance: what is no better by chance


@dataclass(frozen=True, eq=False)
class Start:
    """A float network of the same values, with its types.

    Members
    -------
    make : gives it, calibrated: minutes, where images are large or weights many
    share : of the distance of a design that reaches the target, at which one of this network takes
        its place; of one that misses it, the nearer one is taken
    """

    make: Callable[[], Calibrated]
    share: float = 1.0

    @cached_property
    def network(self) -> Calibrated:
        """The network, made when it is asked for first."""
        return self.make()

    def enough(self, loss: Loss, target: float) -> float:
        """The share of a design's distance at which one of this network takes its place."""
        return self.share if loss.lost <= target else 1.0
