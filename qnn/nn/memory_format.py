"""The order of values in memory that convolutions are fastest in."""

import torch
from torch import Tensor


def channels_last(x: Tensor) -> Tensor:
    """``x``, with the channels of images, (batch, channels, height, width), beside each other."""
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x
