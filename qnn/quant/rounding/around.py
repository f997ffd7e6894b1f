"""Grids around weights that are rounded already, so that a search can go on from them."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from qnn.quant import pow2
from qnn.quant.by_terms import most_terms
from qnn.quant.rounding.problem import LayerWeights

# A quarter: rounding to nearest gives the rounded value back, and a search still has a side to go
# to.
NEAR = 0.25  # of the gap: where a weight lies beside the value that it was rounded to
NUDGE = -8  # exponent of what is added to look beside a value, in units of the least gap


def around(
    layers: Mapping[str, LayerWeights], indices: Mapping[str, Tensor]
) -> dict[str, LayerWeights]:
    """Weights beside the values that they were rounded to, on the side where they were before.

    The two neighbours of each are the value that ``indices`` give it and the next one towards
    the weight, which is nearest where the weight was rounded without a detour.
    """
    return {name: _beside(layer, layer.values(indices[name])) for name, layer in layers.items()}


def _beside(layer, rounded):
    side = (layer.w.detach().double().cpu() - rounded).sign()
    # 2**-8 of the least gap between values: beside the value, and before any other.
    least = layer.exponent - pow2.fraction_bits(layer.bits, most_terms(layer.terms))
    step = pow2.exp2(least + NUDGE)
    nudged = rounded + side * step.reshape(-1, *[1] * (rounded.dim() - 1))
    down, up = pow2.neighbours(nudged, layer.exponent, layer.bits, layer.terms)
    other = torch.where(side > 0, up, down)
    return replace(layer, w=torch.where(side == 0, rounded, rounded + NEAR * (other - rounded)))
