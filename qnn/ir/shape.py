"""Shapes: the block that the accelerator computes with, and the axes that a user's array has.

Every tensor of a graph is a block ``(channels, height, width)``. A user's array, without its batch,
has one of the axes below; this file is the one place that turns one into the other. The length of a
sequence and the count of tokens lie along the height, which is what strips cut.
"""

import numpy as np

Shape = tuple[int, int, int]  # (channels, height, width)

# Named by their letters in order: C channels, H height, W width, L length, T tokens.
AXES = {
    "CHW": "an image, (channels, height, width)",
    "C": "a vector, (channels,)",
    "CL": "a sequence, (channels, length)",
    "TC": "tokens, (tokens, channels)",
}


def usual_axes(block: Shape) -> str:
    """The axes of an array that says no more than its block: a vector where that is one pixel."""
    return "C" if block[1:] == (1, 1) else "CHW"


def fits_axes(block: Shape, axes: str) -> bool:
    """Whether an array of ``axes`` can be the block: but for images, no width is left over."""
    if axes not in AXES:
        return False
    # An image of one column is a legal image, so only the other axes bind the width.
    return axes == "CHW" or (block[1:] == (1, 1) if axes == "C" else block[2] == 1)


def user_shape(block: Shape, axes: str) -> tuple[int, ...]:
    """The shape of a user's array of ``axes``, without its batch."""
    channels, height, _ = block
    sizes = {"C": (channels,), "CL": (channels, height), "TC": (height, channels)}
    return sizes.get(axes, block)


def to_blocks(x: np.ndarray, axes: str) -> np.ndarray:
    """Blocks, (images, channels, height, width), of arrays (images, \\*axes).

    What has four axes is blocks already, and anything else that fits no axes stays as it is.
    """
    if axes == "CHW" or x.ndim != 1 + len(axes):
        return x
    # Blocks have channels first, because the accelerator's words are along channels.
    if axes == "TC":
        x = x.swapaxes(1, 2)
    return x.reshape(*x.shape, *(1,) * (4 - x.ndim))


def from_blocks(blocks: np.ndarray, axes: str) -> np.ndarray:
    """Arrays (images, \\*axes) of blocks (images, channels, height, width)."""
    images, *block = blocks.shape
    if axes == "TC":
        blocks = blocks.swapaxes(1, 2)
    return blocks.reshape(images, *user_shape(tuple(block), axes))
