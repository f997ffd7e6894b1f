"""The ATen operators that capture reads, by name."""

from collections.abc import Mapping

from qnn.frontend.aten import (
    arithmetic,
    average_pool,
    batch_norm,
    choices,
    clamp,
    convolution,
    elementwise,
    enlarge,
    given,
    identity,
    joins,
    layout,
    max_pool,
    max_unpool,
    products,
    quantized,
    recurrent,
    reductions,
)
from qnn.frontend.aten.call import Reader

SUPPORTED = (
    "Conv1d, Conv2d, ConvTranspose, Linear, BatchNorm, GroupNorm, InstanceNorm, LayerNorm, norms, "
    "softmax, functions of one tensor's values, MaxPool, MaxUnpool, AvgPool, AdaptiveAvgPool, "
    "mean, sum and amax, sums, products, quotients, maxima, minima and comparisons of two "
    "tensors, where, cat, view, permute, slices, split, Upsample, interpolate, PixelShuffle, "
    "PixelUnshuffle, padding, GRU, LSTM, RNN and their cells, Dropout and Identity"
)

# Of a name that stands twice, the later reader counts.
FAMILIES = (
    elementwise,
    arithmetic,
    convolution,
    enlarge,
    batch_norm,
    choices,
    clamp,
    max_pool,
    max_unpool,
    average_pool,
    joins,
    layout,
    identity,
    given,
    products,
    quantized,
    reductions,
    recurrent,
)

OPERATORS: Mapping[str, Reader] = {
    name: reader for family in FAMILIES for name, reader in family.OPERATORS.items()
}

# Those that look at where values lie themselves; others are given blocks.
OF_VIEWS = frozenset({*products.OPERATORS, *reductions.OPERATORS, *recurrent.OPERATORS})
