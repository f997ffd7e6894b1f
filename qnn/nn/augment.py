"""Augmented training images: a random crop of the zero-padded image, flipped every other time."""

import torch
import torch.nn.functional as F
from torch import Tensor


def augment(images: Tensor, generator: torch.Generator, pad: int = 4, flip: bool = True) -> Tensor:
    """Move each image by a random offset of at most ``pad`` pixels; mirror it with chance one half.

    All offsets are equally likely; what lies outside of the image is 0. One pass over a batch,
    without a loop over images; the same ``generator`` state gives the same result.

    Parameters
    ----------
    images : (count, channels, height, width) uint8
    generator : gives offsets and flips
    pad : zeros added on each side before the crop
    flip : whether images are mirrored left to right

    Returns
    -------
    (count, channels, height, width) uint8, in the memory format of ``images``

    Raises
    ------
    ValueError
        ``images`` has no four dimensions, or ``pad`` is negative.

    Source
    ------
    He et al., "Deep Residual Learning for Image Recognition" (arXiv 1512.03385), section 4.2.
    """
    if images.dim() != 4 or pad < 0:
        raise ValueError(
            f"augment needs images (count, channels, height, width) and a pad of at least 0, not "
            f"{tuple(images.shape)} and {pad}"
        )
    count, _, height, width = images.shape
    # Drawn where the generator lives, so that a GPU and a CPU see the same crops.
    top, left = _draw(2 * pad + 1, (2, count), generator).to(images.device)
    # Drawn even if nothing is flipped: the offsets of the next batch do not depend on it.
    mirrored = _draw(2, (count, 1, 1, 1), generator).to(images.device, torch.bool)
    # Views of every window, without a copy: indexing takes one for each image at once.
    windows = F.pad(images, (pad,) * 4).unfold(2, height, 1).unfold(3, width, 1)
    crops = windows[torch.arange(count, device=images.device), :, top, left]
    if flip:
        crops = torch.where(mirrored, crops.flip(3), crops)
    # Indexing gives rows of images one after the other, whatever the format before.
    return crops.contiguous(memory_format=_memory_format(images))


def _draw(count, shape, generator):
    return torch.randint(count, shape, generator=generator, device=generator.device)


def _memory_format(images):
    strided = images.is_contiguous(memory_format=torch.channels_last)
    return (
        torch.channels_last if strided and not images.is_contiguous() else torch.contiguous_format
    )
