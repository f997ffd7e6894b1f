"""Images in parts, of which all tensors fit in memory."""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from qnn.ptq.data import as_images

CHUNK = 128  # images that are computed at a time, at most
CHUNK_PIXELS = 1 << 21  # of all of these: 41 of 224 x 224 take 0.5 GB in VGG-16's widest layer


def pixels_per_image(images: Sequence[Tensor]) -> int:
    """The pixels of one image, in the input that has most."""
    return max(math.prod(each.shape[2:]) for each in images)


def images_at_a_time(images: Sequence[Tensor]) -> int:
    """How many images are computed together: fewer, the larger they come in."""
    return max(1, min(CHUNK, CHUNK_PIXELS // max(1, pixels_per_image(images))))


def chunks(batches: Iterable[tuple[Tensor, ...]]) -> Iterable[tuple[Tensor, ...]]:
    """The batches' images, (count, channels, height, width) of each input, in parts of a batch."""
    for batch in batches:
        images = tuple(map(as_images, batch))
        size = images_at_a_time(images)
        yield from zip(*(each.split(size) for each in images), strict=True)


def concatenated(parts: Iterable[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """One tensor of each input, or output, with the samples of all parts."""
    return tuple(torch.cat(each) for each in zip(*parts, strict=True))
