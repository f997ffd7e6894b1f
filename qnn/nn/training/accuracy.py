"""The share of images that a model classifies rightly."""

from collections.abc import Callable

import torch
from torch import Tensor

Images = Tensor | tuple[Tensor, ...]  # of one input, or of each


def accuracy(model: Callable[..., Tensor], x: Images, y: Tensor, batch: int = 500) -> float:
    """Share of images whose greatest output is their label, 0 to 1."""
    return correct(model, x, y, batch) / len(y)


@torch.no_grad()
def correct(model: Callable[..., Tensor], x: Images, y: Tensor, batch: int = 500) -> int:
    """How many images have their label as the greatest output."""
    inputs = x if isinstance(x, tuple) else (x,)
    parts = zip(*(images.split(batch) for images in inputs), y.split(batch), strict=True)
    # Of equal outputs, the first class counts, as the driver's argmax has it.
    return sum(int((model(*images).argmax(1) == labels).sum()) for *images, labels in parts)
