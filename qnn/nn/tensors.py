"""Arrays as tensors, where torch is installed; who only verifies a build has data without it."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


def as_tensor(array: np.ndarray) -> "Tensor | np.ndarray":
    """The tensor of ``array``, or the array itself where torch is not installed."""
    try:
        import torch
    except ImportError:
        return array
    return torch.from_numpy(array)
