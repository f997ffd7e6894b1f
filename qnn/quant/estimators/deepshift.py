"""DeepShift: signed powers of two by rounding the logarithm, or by learning sign and shift."""

import math

import torch
from torch import Tensor, nn

from qnn.quant import pow2
from qnn.quant.estimators.base import Estimator

# Less than one half, so that rounding gives the code back, in float32 too.
ROOM = 0.49  # how far a shift may start from its code


class DeepShiftQ(Estimator):
    """Round to ``sign(w) 2**round(log2 abs(w))``, within the exponents that the grid has.

    Over the greatest value it is the greatest; under half the least one it is 0. The authors have
    no zero there, but the least value.

    Backward
        ``d loss / d w`` is passed through everywhere.

    Source
        Elhoushi et al., arXiv:1905.13298, "DeepShift-Q".
    """

    name = "deepshift_q"
    one_term = True

    def forward(self, w: Tensor, exponent: Tensor) -> Tensor:
        """Values of the grid, nearest in the logarithm."""
        return _LogSnap.apply(w, exponent, self.bits)

    def codes(self, w: Tensor, exponent: Tensor) -> tuple[Tensor, Tensor]:
        """The codes of the values that ``forward`` gives."""
        return super().codes(self(w.detach(), exponent), exponent)


class _LogSnap(torch.autograd.Function):
    @staticmethod
    def forward(ctx, w, exponent, bits):
        magnitude, step = pow2.in_steps(w, exponent, bits)
        # Halfway between 2**k and 2**(k + 1) in the logarithm is sqrt(2) * 2**k; in value it is 1.5
        # * 2**k.
        value = pow2.power(magnitude, bits, math.sqrt(2)) * step
        return value.to(w.dtype).copysign(w)

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None, None


class DeepShiftPS(Estimator):
    """``round(s) 2**round(p) 2**e``: a sign ``s`` and a shift ``p`` of each weight are learnt.

    ``s`` is kept from -1 to 1, and its code is 0 between -1/2 and 1/2; ``p`` is kept from 1 - K
    to 0. Both start from the weight, so that the first codes are the nearest ones.

    Backward
        With the gradient g of the product without ``2**e``: ``p`` gets ``g * product * ln 2``, and
        ``s`` gets g itself, as if the product's other factor were 1, so that small weights change
        sign as readily as large ones. Rounding is passed straight through.

    Source
        Elhoushi et al., arXiv:1905.13298, "DeepShift-PS"; the gradient of ``s`` as in its authors'
        code.
    """

    name = "deepshift_ps"
    one_term = True

    def begin(self, w: Tensor, exponent: Tensor) -> None:
        """Signs and shifts of the nearest codes, with the weight's fraction as far as they let."""
        index = pow2.nearest(w, exponent, self.bits)[0].float()
        magnitude = (
            w.detach().double().abs() / pow2.reach(w.double(), exponent, self.bits)
        ).float()
        most = pow2.most_index(self.bits)
        shift = (index.abs() - most).clamp(min=1 - most)
        exact = magnitude.log2().maximum(shift - ROOM).minimum(shift + ROOM)
        # A weight of code 0 keeps its sign and its size in steps: the larger, the sooner it wakes.
        small = (magnitude * 2.0 ** (most - 1)).clamp(max=ROOM).copysign(w)
        self.sign = nn.Parameter(torch.where(index == 0, small, index.sign()))
        self.shift = nn.Parameter(exact.clamp(1 - most, 0))

    @torch.no_grad()
    def advance(self, progress: float, generator: torch.Generator) -> None:
        """Bring signs and shifts back into their ranges, after a step of the optimizer."""
        # Beyond the range the rounded value no longer changes, and what drifts there returns late.
        self.sign.clamp_(-1, 1)
        self.shift.clamp_(1 - pow2.most_index(self.bits), 0)

    def forward(self, w: Tensor, exponent: Tensor) -> Tensor:
        """Values of the grid, by sign and shift."""
        least = 1 - pow2.most_index(self.bits)
        product = _Product.apply(self.sign, self.shift, least)
        return product.to(w.dtype) * pow2.reach(w, exponent, self.bits)

    def codes(self, w: Tensor, exponent: Tensor) -> tuple[Tensor, Tensor]:
        """The codes of the learnt signs and shifts."""
        return super().codes(self(w.double(), exponent), exponent)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, sign, shift, least):
        product = sign.round().clamp(-1, 1) * shift.round().clamp(least, 0).exp2()
        ctx.save_for_backward(product)
        return product

    @staticmethod
    def backward(ctx, gradient):
        (product,) = ctx.saved_tensors
        # d(s 2**p) / dp = s 2**p ln 2, which is the product times ln 2; that of s is g, as said
        # above.
        return gradient, gradient * product * math.log(2), None
