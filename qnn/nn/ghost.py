"""Batch normalisation by the statistics of groups of images, whatever the batch."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def ghost_batch_norm(
    x: Tensor,
    mean: Tensor,
    var: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    group: int | None,
    momentum: float,
    eps: float,
) -> Tensor:
    """Each group of images normalised by its own statistics, whose mean moves ``mean``, ``var``.

    The running statistics move once, by the mean over groups: as in several processes that have
    a group each and average what they hold.

    Parameters
    ----------
    x : (batch, channels, ...)
    mean, var : (channels,) running statistics, changed in place
    group : images that share statistics; None: all

    Source
    ------
    Hoffer et al., "Train longer, generalize better" (arXiv 1705.08741), algorithm 1.
    """
    parts = groups(x, group)
    if len(parts) == 1:
        return F.batch_norm(x, mean, var, weight, bias, True, momentum, eps)
    # With a momentum of 1, batch_norm writes a group's own statistics there, unmixed.
    seen = torch.zeros(len(parts), 2, len(mean), dtype=mean.dtype, device=mean.device)
    results = [
        F.batch_norm(part, own[0], own[1], weight, bias, True, 1.0, eps)
        for part, own in zip(parts, seen, strict=True)
    ]
    mean.lerp_(seen[:, 0].mean(0), momentum)
    var.lerp_(seen[:, 1].mean(0), momentum)
    return torch.cat(results)


def groups(x: Tensor, size: int | None) -> tuple[Tensor, ...]:
    """Groups of ``size`` images, the last smaller or one larger; one group where it is None."""
    parts = (x,) if size is None or size >= len(x) else x.split(size)
    if len(parts) > 1 and len(parts[-1]) < 2:
        parts = (
            *parts[:-2],
            torch.cat(parts[-2:]),
        )  # one image has no spread
    return parts


@contextmanager
def ghosts(model: nn.Module, group: int | None) -> Iterator[None]:
    """Let the BatchNorm layers of ``model`` take groups of images, inside the block."""
    layers = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    changed = layers if group is not None else []
    for layer in changed:
        # On the instance, not the class: other models of the process keep theirs.
        layer.forward = partial(_forward, layer, group)
    try:
        yield
    finally:
        for layer in changed:
            del layer.forward


def _forward(layer, group, x):
    if not layer.training:
        return type(layer).forward(layer, x)
    layer.num_batches_tracked.add_(1)
    momentum = layer.momentum
    if momentum is None:
        # What torch does where momentum is None: a plain average over all batches.
        momentum = 1.0 / float(layer.num_batches_tracked)
    return ghost_batch_norm(
        x,
        layer.running_mean,
        layer.running_var,
        layer.weight,
        layer.bias,
        group,
        momentum,
        layer.eps,
    )
