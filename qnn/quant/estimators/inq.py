"""Incremental network quantization: the largest weights are frozen, the others make up for it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from qnn.quant import pow2
from qnn.quant.by_terms import Terms
from qnn.quant.estimators.base import Estimator


class Inq(Estimator):
    """Frozen weights at the grid's nearest values; the others as they are, in full precision.

    In the first forward pass at or after each of ``points``, shares of training that is done, the
    largest weights of the layer, in units of their channel's greatest value, are frozen, until a
    portion ``portions`` of all is.

    Backward
        The true derivative: ``d loss / d w`` for weights that are not frozen, 0 for the others.

    Raises
    ------
    ValueError
        Portions or points do not grow from above 0, or from 0, to 1 at the most.

    Source
        Zhou et al., arXiv:1702.03044: partition by magnitude, 50 / 75 / 87.5 / 100 %. After the
        last point only what is no weight adapts.
    """

    name = "inq"

    def __init__(
        self,
        bits: int,
        terms: Terms = 1,
        *,
        portions: Sequence[float] = (0.5, 0.75, 0.875, 1.0),
        points: Sequence[float] = (0.0, 0.3, 0.6, 0.9),
    ):
        super().__init__(bits, terms)
        if not portions or list(portions) != sorted({0.0, *portions})[1:] or portions[-1] != 1:
            raise ValueError(
                f"portions must grow from above 0 to 1, not {', '.join(map(str, portions))}"
            )
        # Through a set, so that equal neighbours count as not growing.
        growing = list(points) == sorted(set(points)) and all(0 <= point <= 1 for point in points)
        if len(points) != len(portions) or not growing:
            raise ValueError(
                f"points must grow from 0 to 1, one for each of {len(portions)} portions, not "
                f"{', '.join(map(str, points))}"
            )
        self.portions, self.points = tuple(portions), tuple(points)
        # In float64, so that 0.875 times a layer's weights rounds as it does in Python.
        self.register_buffer("due", torch.zeros((), dtype=torch.float64))

    def begin(self, w: Tensor, exponent: Tensor) -> None:
        """Begin with no weight frozen."""
        self.register_buffer("frozen", torch.zeros_like(w, dtype=torch.bool))
        self.register_buffer("values", torch.zeros_like(w))

    def advance(self, progress: float, generator: torch.Generator) -> None:
        """Note the portion that the next forward pass is to freeze."""
        reached = [
            portion
            for portion, point in zip(self.portions, self.points, strict=True)
            if progress >= point
        ]
        if reached:
            self.due.fill_(reached[-1])

    def forward(self, w: Tensor, exponent: Tensor) -> Tensor:
        """Frozen values, and the weights that are not frozen."""
        self._freeze(w.detach(), exponent)
        return torch.where(self.frozen, self.values.to(w.dtype), w)

    def codes(self, w: Tensor, exponent: Tensor) -> tuple[Tensor, Tensor]:
        """The codes of frozen values, and the nearest codes of the other weights."""
        return super().codes(torch.where(self.frozen, self.values.to(w.dtype), w), exponent)

    def _freeze(self, w, exponent):
        # Over the whole layer, as in the paper, not channel by channel.
        missing = round(float(self.due) * w.numel()) - int(self.frozen.sum())
        if missing <= 0:
            return
        # Below every magnitude, so that what is frozen sorts behind all that is not.
        size = (w.abs() / pow2.reach(w, exponent, self.bits, self.terms)).masked_fill(
            self.frozen, -1.0
        )
        # Stable, so that equal weights freeze in the same order on every machine.
        largest = size.flatten().argsort(descending=True, stable=True)[:missing]
        fresh = torch.zeros_like(self.frozen)
        fresh.view(-1)[largest] = True
        snapped = pow2.snap(w, exponent, self.bits, self.terms).to(self.values.dtype)
        self.values = torch.where(fresh, snapped, self.values)
        self.frozen = self.frozen | fresh
