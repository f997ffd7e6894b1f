"""Mean-only batch normalisation: a batch's own mean is taken from each channel, no scale is."""

import torch
from torch import Tensor

from qnn.errors import ModelError
from qnn.nn.ghost import groups


def centered(v: Tensor, wanted: Tensor, mean: Tensor, group: int | None, momentum: float) -> Tensor:
    """``v`` with the mean of each group of images moved to ``wanted``, channel by channel.

    Parameters
    ----------
    v : (batch, channels, height, width)
    wanted : (channels,) means to have
    mean : (channels,) running mean of ``v``, which moves once, by the mean over groups
    group : images that share a mean; None: all

    Raises
    ------
    ModelError
        A channel has one value, which its mean would take away.

    Source
    ------
    Salimans and Kingma, "Weight Normalization" (arXiv 1602.07868), section 4; groups as in Hoffer
    et al., "Train longer, generalize better" (arXiv 1705.08741), algorithm 1.
    """
    if v.numel() == v.shape[1]:
        raise ModelError(
            "train needs two values a channel for the means of BatchNorm, but a batch of one image "
            "has one; take larger batches, or freeze_statistics_at=0"
        )
    parts = groups(v, group)
    results, means = zip(*(_Center.apply(part, wanted) for part in parts), strict=True)
    with torch.no_grad():
        mean.lerp_(torch.stack(means).mean(0).to(mean.dtype), momentum)
    return results[0] if len(results) == 1 else torch.cat(results)


class _Center(torch.autograd.Function):
    """Forward: ``v + wanted - mean(v)``, and the mean. Backward: the gradient less its mean."""

    @staticmethod
    def forward(ctx, v, wanted):
        mean = _mean(v)
        ctx.mark_non_differentiable(mean)
        return _add(v, wanted.detach().to(mean.dtype) - mean), mean

    @staticmethod
    def backward(ctx, gradient, _):
        mean = _mean(gradient)
        # The second is the gradient's sum: `wanted` is added to every value of its channel.
        return _add(gradient, -mean), mean * (gradient.numel() // len(mean))


# One row per image, whichever dimension varies fastest: reductions and sums over a handful of
# channels are several times slower.
def _rows(v):
    last = v.is_contiguous(memory_format=torch.channels_last)
    return (v.permute(0, 2, 3, 1) if last else v).reshape(len(v), -1), last


def _mean(v):
    """The mean of each channel, (channels,), in float32 or wider."""
    rows, last = _rows(v)
    # Sums of half-precision values lose their low digits after a few hundred of them.
    wide = torch.promote_types(v.dtype, torch.float32)
    sums = rows.sum(0, dtype=wide)
    channels = v.shape[1]
    sums = sums.reshape(-1, channels).sum(0) if last else sums.reshape(channels, -1).sum(1)
    return sums * (channels / v.numel())


def _add(v, shift):
    """``v + shift``, in the memory format and dtype of ``v``."""
    rows, last = _rows(v)
    batch, channels, height, width = v.shape
    shift = shift.to(v.dtype)
    pixels = height * width
    sums = rows + (shift.repeat(pixels) if last else shift.repeat_interleave(pixels))
    if last:
        return sums.reshape(batch, height, width, channels).permute(0, 3, 1, 2)
    return sums.reshape(v.shape)
