"""Reconstructed gradient: weights move to the grid by and by, and the gradient stays true."""

import math

import torch
from torch import Tensor

from qnn.quant import pow2
from qnn.quant.by_terms import Terms
from qnn.quant.estimators.base import Estimator

AUTHORS_THRESHOLDS = (0.02, 0.07, 0.14)  # of the layer's greatest weight, for 3 bits
AUTHORS_SCALE = 0.187  # of the layer's greatest weight: the thresholds are nearest levels there
LEVELS = ("scaled", "authors")


class Reconstructed(Estimator):
    """``w - alpha (w - Q(w))`` of the clipped ``w``, with ``alpha`` from 0.5 to 1.

    ``alpha = 0.5 * 2**progress`` grows with each step; with ``epochs`` = E it stays
    ``0.5 * 2**(epoch / E)`` throughout epoch 1 to E, which makes it 1 in all of the last one.

    Backward
        The true derivative: ``1 - alpha``, and 0 where the clip is active. It goes to 0 as
        ``alpha`` goes to 1: that is the method.

    With ``levels="scaled"``, ``Q`` is the nearest value of the grid and the clip is at its reach.

    With ``levels="authors"`` (3 bits, one term), ``Q`` has the authors' thresholds: 0.02, 0.07 and
    0.14 of the layer's greatest weight divide the levels 0, 1/4, 1/2 and 1. They store no scale,
    because their BatchNorm is outside the quantizer and absorbs it. Here the folded weight is
    quantized, so that a scale cannot be left out: ``2**e`` of each channel stands for its
    BatchNorm's, the greatest of ``w / 2**e`` at the start is "the layer's greatest weight" and is
    kept, and 0.187 of it, where those thresholds are nearest levels, is rounded to a power of two
    that goes into the exported exponents. The clip is at the greatest weight of the start.

    Raises
    ------
    ValueError
        An option has no such value, or the authors' levels do not exist for the format.

    Source
        "A Learning Framework for n-bit Quantized Neural Networks toward FPGAs", arXiv:2004.02396;
        schedule, clip and thresholds as in its authors' code.
    """

    name = "reconstructed"

    def __init__(
        self, bits: int, terms: Terms = 1, *, levels: str = "scaled", epochs: int | None = None
    ):
        super().__init__(bits, terms)
        if levels not in LEVELS:
            raise ValueError(f"levels must be one of {', '.join(LEVELS)}, not '{levels}'")
        if epochs is not None and epochs < 1:
            raise ValueError(f"epochs must be at least 1, not {epochs}")
        if levels == "authors" and (bits, terms) != (3, 1):
            raise ValueError(
                f"levels='authors' needs weights of 3 bits and one term, not {bits} bits and "
                f"{terms} terms; use levels='scaled'"
            )
        self.levels, self.epochs = levels, epochs
        self.register_buffer("alpha", torch.tensor(0.5))
        self.advance(0.0)
        if levels == "authors":
            self.register_buffer("greatest", torch.ones((), dtype=torch.float64))
            self.register_buffer("shift", torch.zeros((), dtype=torch.int64))

    def begin(self, w: Tensor, exponent: Tensor) -> None:
        """Note the layer's greatest weight, for the authors' levels."""
        if self.levels == "authors":
            greatest = float(
                (w.detach().double().abs() / pow2.reach(w.double(), exponent, 3)).amax()
            )
            # A layer of zeros has no greatest weight; any scale will do, but not one whose
            # logarithm is -inf.
            greatest = greatest or 1.0
            self.greatest = torch.full_like(self.greatest, greatest, device=w.device)
            shift = round(math.log2(AUTHORS_SCALE * greatest))
            self.shift = torch.full_like(self.shift, shift, device=w.device)
        self.alpha = self.alpha.to(w.device)

    def advance(self, progress: float, generator: torch.Generator | None = None) -> None:
        """Move ``alpha`` towards 1."""
        if self.epochs is not None:
            # The authors' schedule counts epochs from 1, so that the last one trains with alpha = 1
            # throughout.
            progress = min(math.floor(progress * self.epochs) + 1, self.epochs) / self.epochs
        self.alpha.fill_(0.5 * 2.0**progress)

    def forward(self, w: Tensor, exponent: Tensor) -> Tensor:
        """The clipped weight and its level, mixed; exactly the level when ``alpha`` is 1."""
        limit = self._limit(w, exponent)
        kept = w.clamp(-limit, limit)
        level = self._level(kept.detach(), exponent)
        # In this order the sum is the level itself, bit for bit, once alpha is 1.
        return level + (1 - self.alpha) * (kept - level)

    def exported_exponent(self, exponent: Tensor) -> Tensor:
        """The given exponents; the authors' levels add a power of two for the layer."""
        return exponent + self.shift if self.levels == "authors" else exponent

    def codes(self, w: Tensor, exponent: Tensor) -> tuple[Tensor, Tensor]:
        """The codes of ``Q``, the levels of the clipped weights."""
        limit = self._limit(w, exponent)
        exported = self.exported_exponent(exponent)
        level = self._level(w.detach().clamp(-limit, limit), exponent)
        return pow2.nearest(level, exported, self.bits, self.terms), exported

    def _limit(self, w, exponent):
        limit = pow2.reach(w, exponent, self.bits, self.terms)
        return limit * self.greatest.to(w.dtype) if self.levels == "authors" else limit

    def _level(self, w, exponent):
        if self.levels == "scaled":
            return pow2.snap(w, exponent, self.bits, self.terms)
        magnitude = w.abs() / self._limit(w, exponent)
        least, middle, most = AUTHORS_THRESHOLDS
        level = torch.where(magnitude > middle, 0.5, 0.25)
        level = torch.where(magnitude > most, 1.0, level)
        level = torch.where(magnitude > least, level, 0.0).to(w.dtype)
        return level.copysign(w) * pow2.reach(w, exponent + self.shift, self.bits)
