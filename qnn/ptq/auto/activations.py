"""The bits of activations: the fewest that leave most of a target to the weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from qnn.ptq.auto.held_out import Loss

# Inputs have as many at least, and an array is as wide as its widest tensor: with fewer, networks
# took as many cycles and cells.
USUAL_BITS = 8
MOST_BITS = 16
SHARE = 0.5  # of a target that activations alone may take


@dataclass(frozen=True)
class Activations:
    """The bits that were chosen, or given.

    Members
    -------
    bits : of every activation
    losses : by bits, what activations alone lose, where it was measured
    """

    bits: int
    losses: Mapping[int, Loss]

    def suffice(self, target: float) -> bool:
        """Whether they leave enough of the target to weights."""
        return self.losses[self.bits].lost <= SHARE * target

    def text(self, target: float, unit: str) -> str:
        """Which bits, and why."""
        line = (
            f"{self.bits}-bit activations: alone they lose {self.losses[self.bits]} of the "
            f"{target:g} {unit} that may be lost"
        )
        fewer = max((bits for bits in self.losses if bits < self.bits), default=None)
        return line if fewer is None else f"{line}; with {fewer} bits {self.losses[fewer]}"


def choose_activations(
    loss_of: Callable[[int], Loss], has: Callable[[int], bool], target: float
) -> Activations:
    """The fewest bits, from ``USUAL_BITS`` on, that take no more than their share of the target.

    Where none does, the most that there are.

    Parameters
    ----------
    loss_of : what activations of so many bits lose alone
    has : whether the hardware has so many bits; it then has all fewer
    """
    found = Activations(USUAL_BITS, {USUAL_BITS: loss_of(USUAL_BITS)})
    if found.suffice(target):
        return found
    losses = dict(found.losses)
    # Too few bits; and enough, or more than there are.
    low, high = found, Activations(MOST_BITS + 1, losses)
    while high.bits - low.bits > 1:
        tried = Activations((low.bits + high.bits) // 2, losses)
        if not has(tried.bits):
            high = tried
            continue
        losses[tried.bits] = loss_of(tried.bits)
        low, high = (low, tried) if tried.suffice(target) else (tried, high)
    return Activations(high.bits if high.bits in losses else low.bits, losses)
