"""Straight-through estimators: the gradient of rounding is taken to be one."""

import torch
from torch import Tensor

from qnn.quant import pow2
from qnn.quant.estimators.base import Estimator


class StraightThrough(Estimator):
    """``Q(w)``, the nearest value of the grid.

    Backward
        ``d loss / d w`` is passed through everywhere.

    Source
        Bengio et al., arXiv:1308.3432, "straight-through estimator".
    """

    name = "straight_through"

    def forward(self, w: Tensor, exponent: Tensor) -> Tensor:
        """The nearest values of the grid."""
        return _Snap.apply(w, exponent, self.bits, self.terms)


class ClippedStraightThrough(Estimator):
    """``Q(w)``, the nearest value of the grid.

    Backward
        ``d loss / d w`` is passed through up to the grid's greatest value, and is 0 beyond.

    Source
        Bengio et al., arXiv:1308.3432, "straight-through estimator"; with the clip, Hubara et al.,
        arXiv:1609.07061.
    """

    name = "clipped_straight_through"

    def forward(self, w: Tensor, exponent: Tensor) -> Tensor:
        """The nearest values of the grid."""
        return _ClippedSnap.apply(w, exponent, self.bits, self.terms)


class _Snap(torch.autograd.Function):
    @staticmethod
    def forward(ctx, w, exponent, bits, terms):
        return pow2.snap(w, exponent, bits, terms)

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None, None, None


class _ClippedSnap(torch.autograd.Function):
    @staticmethod
    def forward(ctx, w, exponent, bits, terms):
        ctx.save_for_backward(w.abs() <= pow2.reach(w, exponent, bits, terms))
        return pow2.snap(w, exponent, bits, terms)

    @staticmethod
    def backward(ctx, gradient):
        (inside,) = ctx.saved_tensors
        return gradient * inside, None, None, None
