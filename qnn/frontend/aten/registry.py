"""The ATen operators that capture reads, by name."""

from collections.abc import Mapping

from qnn.frontend.aten import (
    average_pool,
    batch_norm,
    clamp,
    convolution,
    enlarge,
    identity,
    joins,
    layout,
    max_pool,
    reductions,
    two_tensors,
)
from qnn.frontend.aten.call import Reader

SUPPORTED = (
    "Conv1d, Conv2d, ConvTranspose, Linear, BatchNorm, ReLU, ReLU6, Hardtanh, clamp, MaxPool, "
    "AvgPool, AdaptiveAvgPool, mean, sum and amax, sums, products, maxima and minima of two "
    "tensors, cat, view, permute, slices, split, Upsample, interpolate, PixelShuffle, "
    "PixelUnshuffle, padding, Dropout and Identity"
)

FAMILIES = (
    convolution,
    enlarge,
    batch_norm,
    clamp,
    max_pool,
    average_pool,
    joins,
    two_tensors,
    layout,
    identity,
    reductions,
)

OPERATORS: Mapping[str, Reader] = {
    name: reader for family in FAMILIES for name, reader in family.OPERATORS.items()
}
