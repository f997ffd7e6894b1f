"""Pooling over all of an image as a sum, which is faster than the convolution that it is."""

import torch
from torch import Tensor

from qnn.ir.window import Window


def pools_all(x: Tensor, weight: Tensor, window: Window) -> bool:
    """Whether each sum takes all pixels of a channel of its own, as in pooling over space."""
    outputs, inputs, *kernel = weight.shape
    alone = inputs == 1 and window.groups == outputs
    return alone and list(x.shape[2:]) == kernel and not any(window.padding)


def pool_all(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Compute that convolution as a sum: a library's takes a quarter of a training step."""
    # Integers in half precision would be rounded on the way.
    wide = torch.promote_types(x.dtype, torch.float32)
    sums = (x * weight[:, 0]).sum((2, 3), keepdim=True, dtype=wide)
    return sums if bias is None else sums + bias[:, None, None]
