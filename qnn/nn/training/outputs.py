"""All outputs of a model on a set of samples, batch by batch, as arrays."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from qnn.tasks.structures import tensors_of

Inputs = Tensor | tuple[Tensor, ...]  # of one input, or of each


@torch.no_grad()
def all_outputs(
    model: Callable[..., Tensor | tuple[Tensor, ...]],
    x: Inputs,
    batch: int = 500,
    axes: Sequence[int] | None = None,
) -> tuple[np.ndarray, ...]:
    """Each output for all samples, in the model's order.

    Parameters
    ----------
    axes : of each output, the axis that the samples lie along; None: the first one
    """
    inputs = x if isinstance(x, tuple) else (x,)
    parts = []
    for given in zip(*(each.split(batch) for each in inputs), strict=True):
        # Copies: a model that works in place would change the samples of the next one.
        given = [each.clone() for each in given]
        # As a capture reads them: nested tuples, lists and dictionaries, in order.
        parts.append([result.cpu().numpy() for result in tensors_of(model(*given))])
    found = tuple(zip(*parts, strict=True))
    along = (0,) * len(found) if axes is None else axes
    return tuple(np.concatenate(*each) for each in zip(found, along, strict=True))
