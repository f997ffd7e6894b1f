"""Learned step size, for steps that are powers of two: each channel's exponent learns."""

import math

import torch
from torch import Tensor, nn

from qnn.quant import pow2
from qnn.quant.estimators.base import Estimator


class Lsq(Estimator):
    """``s g(w / s)``, the nearest value of the grid whose scale is ``s = 2**round(p)``.

    ``p``, one per channel, is learnt and starts from the given exponent; ``round(p)`` is exported.

    Backward
        To ``w``, the gradient is passed through within the grid's reach and is 0 elsewhere.
        To ``p`` goes the sum over a channel of ``gradient * (g(w / s) - w / s) * s ln 2``, without
        ``w / s`` where it is clipped, times ``1 / sqrt(N Q)``: N weights per channel, Q positive
        values of the grid. Rounding of ``p`` is passed straight through.

    Source
        Esser et al., arXiv:1902.08153, equations 1 to 3 and section 2.2; for a power of two by the
        chain rule, ``ds / dp = s ln 2``, as in Jain et al., arXiv:1903.08066.
    """

    name = "lsq"

    def begin(self, w: Tensor, exponent: Tensor) -> None:
        """Let each channel's scale start from the given exponent."""
        self.log_scale = nn.Parameter(exponent.to(w.device, torch.float32))

    def forward(self, w: Tensor, exponent: Tensor) -> Tensor:
        """The nearest values of the learnt grid."""
        return _LearnedSnap.apply(w, self.log_scale, self._gain(w), self.bits, self.terms)

    def _gain(self, w):
        """ln 2 of the chain rule, and the paper's 1 / sqrt(N Q), for each channel if they differ.

        The second makes the relative updates of scales as large as those of weights.
        """

        def gain(terms):
            levels = len(pow2.grid(self.bits, terms)[0]) - 1
            return math.log(2) / math.sqrt(w[0].numel() * levels)

        alike = isinstance(self.terms, int)
        return gain(self.terms) if alike else w.new_tensor([gain(k) for k in self.terms])

    def exported_exponent(self, exponent: Tensor) -> Tensor:
        """The learnt exponents, rounded to whole numbers."""
        return _whole(self.log_scale)

    def codes(self, w: Tensor, exponent: Tensor) -> tuple[Tensor, Tensor]:
        """The nearest codes of the learnt grid, and its exponents."""
        return super().codes(w, self.exported_exponent(exponent))


def _whole(log_scale):
    return log_scale.detach().round().to(torch.int64)


class _LearnedSnap(torch.autograd.Function):
    @staticmethod
    def forward(ctx, w, log_scale, gain, bits, terms):
        exponent = _whole(log_scale)
        inside = w.abs() <= pow2.reach(w, exponent, bits, terms)
        value = pow2.snap(w, exponent, bits, terms)
        ctx.gain = gain
        # One tensor serves both cases: value - w inside, and the value alone where the weight is
        # clipped.
        ctx.save_for_backward(inside, value - w * inside)
        return value

    @staticmethod
    def backward(ctx, gradient):
        inside, slope = ctx.saved_tensors
        # The slope already has the factor s in it: it is in units of weights, not of steps.
        scale = (gradient * slope).flatten(1).sum(1) * ctx.gain
        return gradient * inside, scale.float(), None, None, None
