"""S3: sign, sparsity and shift of each weight are bits of their own, and all of them learn."""

import torch
from torch import Tensor, nn

from qnn.quant import pow2
from qnn.quant.estimators.base import Estimator

# Not 0, whose side of the threshold would be that of the comparison; 2**-7 is also a bfloat16.
LEAST = 2.0**-7  # magnitude of a latent at the start, where its weight lies on a threshold


class S3(Estimator):
    """``sgn(a) 1{b > 0} 2**S`` times the least step of the grid, all of a, b and c latent.

    S is the sum of K - 1 shift bits of which each needs the one before it: ``S_0 = 0``,
    ``S_t = 1{c_t > 0} (S_(t-1) + 1)``, ``S = S_(K-1)``. So 2-bit weights have no shift, 3-bit ones
    have ``1{c_2 > 0} (1{c_1 > 0} + 1)``, the paper's, and 4-bit and 5-bit ones 6 and 14 bits.

    The latents start from the weight: ``a`` is it in units of ``2**e``, ``b`` how far it lies over
    half a step, and the c how far its logarithm lies over the bounds between levels, each cut to
    [-1, 1] and with the sign that makes the first codes the nearest ones.

    Backward
        The product rule, with ``d sgn(a) / d a`` and ``d 1{x > 0} / d x`` taken to be 1.

    Source
        Li et al., arXiv:2107.03453, and for 3 bits its authors' code; more bits by the same
        recursion. The regulariser of dense weights is left out.
    """

    name = "s3"
    one_term = True

    def begin(self, w: Tensor, exponent: Tensor) -> None:
        """Latents whose codes are the nearest ones."""
        most = pow2.most_index(self.bits)
        index = pow2.nearest(w, exponent, self.bits)[0].float()
        scaled = (w.detach().double() / pow2.reach(w.double(), exponent, self.bits)).float()
        steps = scaled.abs() * 2.0 ** (most - 1)
        self.sign = nn.Parameter(_latent(scaled, index >= 0))
        self.dense = nn.Parameter(_latent(steps - 0.5, index != 0))
        over = torch.arange(most - 1, 0, -1, device=w.device).reshape(-1, *[1] * w.dim())
        # Bounds in the logarithm lie half an octave over a level, those in value log2(1.5) = 0.585
        # of one: between the two the given sign decides.
        above = steps.log2() - (over - 0.5)
        shift = _latent(above, index.abs() > over)
        self.shift = nn.Parameter(shift) if most > 1 else None

    def forward(self, w: Tensor, exponent: Tensor) -> Tensor:
        """Values of the grid, by the bits that the latents have."""
        shift = torch.zeros_like(self.sign)
        # From the innermost bit outwards: each product lets the shifts counted so far go on, or
        # starts at 0.
        for bit in () if self.shift is None else _Bit.apply(self.shift):
            shift = bit * (shift + 1)
        value = _Sign.apply(self.sign) * _Bit.apply(self.dense) * shift.exp2()
        step = pow2.reach(w, exponent - pow2.fraction_bits(self.bits), self.bits)
        return value.to(w.dtype) * step

    def codes(self, w: Tensor, exponent: Tensor) -> tuple[Tensor, Tensor]:
        """The codes that the bits of the latents stand for."""
        return super().codes(self(w.double(), exponent), exponent)


def _latent(distance, positive):
    """Distances from a threshold, cut to [-1, 1], with signs that are given."""
    # Cut to 1, so that a far weight can still change its bit within a few steps.
    sized = distance.abs().clamp(LEAST, 1)
    return torch.where(positive, sized, -sized)


class _Bit(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx, gradient):
        return gradient


class _Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return torch.where(x < 0, -1.0, 1.0).to(x.dtype)

    @staticmethod
    def backward(ctx, gradient):
        return gradient
