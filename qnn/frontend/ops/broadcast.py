"""Shapes of operators on two tensors, of which one may be spread over channels or over space."""

import torch

from qnn.errors import ModelError
from qnn.ir.shape import Shape


def spread_shape(sources: tuple[Shape, ...]) -> Shape:
    """The shape of a result whose operands are spread along their axes of size 1, as PyTorch does.

    Raises
    ------
    ModelError
        An axis has two sizes, of which none is 1.
    """
    # PyTorch's own rule, so that nothing that it refuses passes here.
    try:
        return tuple(torch.broadcast_shapes(*sources))
    except RuntimeError:
        shapes = " and ".join(map(str, sources))
        raise ModelError(
            f"operands need shapes that broadcast, not {shapes}; reshape one"
        ) from None
