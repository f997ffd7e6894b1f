"""ATen's constants that have the shape of a tensor, and nothing of its values."""

from collections.abc import Mapping

import torch
from torch import Tensor, fx

from qnn.frontend.faults import target_of

FILLED: Mapping[str, float] = {
    "aten.zeros_like": 0.0,
    "aten.new_zeros": 0.0,
    "aten.ones_like": 1.0,
    "aten.new_ones": 1.0,
}


def filled(node: fx.Node) -> Tensor:
    """The constant that such a call gives; it depends on no image, though it names a tensor."""
    held = node.meta["val"]
    return torch.full(tuple(held.shape), FILLED[target_of(node)], dtype=held.dtype)
