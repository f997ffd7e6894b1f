"""All weights as one vector x in [0, 1]: each lies between its two neighbours on the grid."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from qnn.quant import pow2
from qnn.quant.rounding.flat import split
from qnn.quant.rounding.problem import LayerWeights


@dataclass(frozen=True, eq=False)
class Interpolation:
    """``w(x) = down + x (up - down)``, for all layers together.

    Members
    -------
    layers : by name, in the order in which their weights follow one another
    down, gap, y : (count,) float32; ``y`` is the x of the weights that were given, 0 where stuck
    free : (count,) bool: whether the two neighbours differ
    step2 : mean over layers of 12 times the mean squared error of the nearest values
    """

    layers: Mapping[str, LayerWeights]
    down: Tensor
    gap: Tensor
    y: Tensor
    free: Tensor
    step2: float

    @staticmethod
    def of(layers: Mapping[str, LayerWeights], device: torch.device) -> "Interpolation":
        """The interpolation of the weights of ``layers`` between their neighbours on the grid."""
        downs, gaps, ys, errors = [], [], [], []
        for layer in layers.values():
            down, up = pow2.neighbours(layer.w, layer.exponent, layer.bits, layer.terms)
            w = layer.w.detach().double()
            # Beyond the grid's ends both neighbours are one value, and nothing is left to choose.
            gap = up - down
            # The inner choice keeps 0 / 0 from being computed at all.
            y = torch.where(gap > 0, (w - down) / torch.where(gap > 0, gap, 1), 0)
            # An even grid of step d has an error of d**2 / 12: twelve times the error is the square
            # of the step that an even grid of this quality would have.
            errors.append(12 * (layer.values(layer.nearest()) - w).square().mean())
            downs.append(down.flatten())
            gaps.append(gap.flatten())
            ys.append(y.flatten())
        down, gap, y = (torch.cat(parts).float().to(device) for parts in (downs, gaps, ys))
        return Interpolation(layers, down, gap, y, gap > 0, float(sum(errors) / len(errors)))

    def weights(self, x: Tensor) -> dict[str, Tensor]:
        """Each layer's weights at ``x``, float32."""
        return self.split(torch.addcmul(self.down, x, self.gap))

    def split(self, flat: Tensor) -> dict[str, Tensor]:
        """Each layer's part of a vector, in the layer's shape."""
        return split(flat, {name: layer.w for name, layer in self.layers.items()})

    def share(self, x: Tensor) -> float:
        """Share of weights that lie on the grid: 1 only if all of them do."""
        # Counted in integers: a mean in float32 rounds to 1 from 2**24 weights on.
        return int(torch.count_nonzero((x <= 0) | (x >= 1))) / x.numel()

    def indices(self, x: Tensor) -> dict[str, Tensor]:
        """Indices of the neighbours that ``x`` is nearer to, (terms, outputs, ...) int8 each."""
        chosen = {}
        for name, upper in self.split(x >= 0.5).items():
            layer = self.layers[name]
            down, up = pow2.neighbours(layer.w, layer.exponent, layer.bits, layer.terms)
            chosen[name] = layer.indices(torch.where(upper.to(down.device), up, down))
        return chosen
