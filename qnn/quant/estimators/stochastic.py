"""Stochastic rounding: up or down by chance, right on average."""

from functools import lru_cache

import torch
from torch import Tensor

from qnn.quant import pow2
from qnn.quant.by_terms import Terms, by_terms
from qnn.quant.estimators.base import Estimator


class Stochastic(Estimator):
    """One of the grid's two values around ``w``: up with chance ``(w - down) / (up - down)``.

    On average ``w``, within the grid's reach; the greatest value beyond. The draw is that of the
    last ``advance``, so that every forward pass of one step computes with the same weights. What
    is exported is the nearest value, which is one of the two.

    Backward
        ``d loss / d w`` is passed through within the grid's reach, and is 0 elsewhere.

    Source
        Gupta et al., arXiv:1502.02551, "rounding modes", for levels that are not evenly spaced;
        the gradient as in Bengio et al., arXiv:1308.3432.
    """

    name = "stochastic"

    def __init__(self, bits: int, terms: Terms = 1):
        super().__init__(bits, terms)
        self.register_buffer("seed", torch.zeros((), dtype=torch.int64))

    def advance(self, progress: float, generator: torch.Generator) -> None:
        """Draw the seed of this step."""
        # 62 bits, which an int64 holds with room to spare; generators take any of them as a seed.
        self.seed.fill_(int(torch.randint(1 << 62, (), generator=generator)))

    def forward(self, w: Tensor, exponent: Tensor) -> Tensor:
        """Values of the grid, drawn with this step's seed."""
        drawn = torch.Generator(w.device).manual_seed(int(self.seed))
        chance = torch.rand(w.shape, generator=drawn, device=w.device)
        return _Draw.apply(w, chance, exponent, self.bits, self.terms)


class _Draw(torch.autograd.Function):
    @staticmethod
    def forward(ctx, w, chance, exponent, bits, terms):
        ctx.save_for_backward(w.abs() <= pow2.reach(w, exponent, bits, terms))
        return _drawn(w, exponent, bits, terms, chance)

    @staticmethod
    def backward(ctx, gradient):
        (inside,) = ctx.saved_tensors
        return gradient * inside, None, None, None, None


@by_terms
def _drawn(w, exponent, bits, terms, chance):
    magnitude, step = pow2.in_steps(w, exponent, bits, terms)
    down, gap = _by_wholes(bits, terms, magnitude.dtype, w.device)
    # fmin, because the minimum with NaN would be NaN, and NaN as an index is undefined.
    place = torch.fmin(magnitude, magnitude.new_tensor(len(down) - 1)).to(torch.int32)
    down, gap = down[place], gap[place]
    # At the last level the gap is 0, so that what lies beyond it can only stay there.
    value = torch.where(magnitude - down > chance * gap, down + gap, down)
    value = torch.where(magnitude.isnan(), magnitude, value)
    return (value * step).to(w.dtype).copysign(w)


@lru_cache
def _by_wholes(bits, terms, dtype, device):
    """From each whole number of steps up to the next: the value not over it, the gap above."""
    sums = pow2.grid(bits, terms)[0]
    place = torch.bucketize(torch.arange(int(sums[-1]) + 1), sums, right=True) - 1
    gaps = torch.cat((sums.diff(), sums.new_zeros(1)))
    return sums[place].to(device, dtype), gaps[place].to(device, dtype)
