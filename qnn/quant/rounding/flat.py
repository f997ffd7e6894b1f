"""Tensors by name as one vector, which an optimizer takes, and back."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor


def flat(tensors: Iterable[Tensor], device: torch.device) -> Tensor:
    """All values, one tensor after the other."""
    # A concatenation of nothing is an error to torch, and not every network has biases to learn.
    return torch.cat([torch.zeros(0), *(each.flatten().cpu() for each in tensors)]).to(device)


def split(vector: Tensor, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each one's part of a vector, by name, in the shape of ``like``."""
    parts = vector.split([each.numel() for each in like.values()]) if like else ()
    return {
        name: part.view(each.shape) for (name, each), part in zip(like.items(), parts, strict=True)
    }
