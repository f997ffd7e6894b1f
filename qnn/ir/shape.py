"""Shapes: the block that the accelerator computes with, and the axes that a user's array has.

Every tensor of a graph is a block ``(channels, height, width)``. A user's array, without its batch,
has one of the axes below; this file is the one place that turns one into the other. The length of a
sequence and the count of tokens lie along the height, which is what strips cut.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

Shape = tuple[int, int, int]  # (channels, height, width)

# Named by their letters in order: C channels, H height, W width, L length, T tokens.
AXES = {
    "CHW": "an image, (channels, height, width)",
    "C": "a vector, (channels,)",
    "CL": "a sequence, (channels, length)",
    "TC": "tokens, (tokens, channels)",
    "L": "a line of samples, (length,)",
}


# Volumes also say how many frames each channel is: C8HW of (channels, 8, height, width).
VOLUME_AXES = r"C([1-9]\d*)HW"


# An output's axes may also be an order: "3x85x26:0.2.1" is the block's values as 3 x 85 x 26, of
# which the last two axes change places. Behind it stands the axis along which the next output
# follows, if both are one tensor of the user's.
ORDER = r"(\d+(?:x\d+)*):(\d+(?:\.\d+)*)(?:;join=(\d+))?"


@dataclass(frozen=True)
class Order:
    """How the host lays an output out.

    Members
    -------
    sizes : of the block's values, in the order (channels, height, width)
    axes : which of the sizes is each axis of the result, before it gets the user's shape
    join : the user's axis along which the next output continues this one; None: it ends here
    """

    sizes: tuple[int, ...]
    axes: tuple[int, ...]
    join: int | None = None

    def __str__(self) -> str:
        text = f"{'x'.join(map(str, self.sizes))}:{'.'.join(map(str, self.axes))}"
        return text if self.join is None else f"{text};join={self.join}"


def order_of(axes: str | None) -> Order | None:
    """The order that the axes of an output say; None: they are names, or nothing."""
    found = re.fullmatch(ORDER, axes or "")
    if found is None:
        return None
    sizes, places, join = found.groups()
    sizes = tuple(map(int, sizes.split("x")))
    return Order(sizes, tuple(map(int, places.split("."))), None if join is None else int(join))


def joined(parts: Sequence, axes: Sequence[str | None], join: Callable) -> tuple:
    """What the user gets of outputs: those that the next one continues are one with it.

    Parameters
    ----------
    parts : anything of each output, its array or its shape
    axes : of each output
    join : gives one thing for a list of them and an axis that counts the images' too, as
        ``np.concatenate`` does
    """
    found, waiting, along = [], [], 0
    for part, each in zip(parts, axes, strict=True):
        waiting.append(part)
        order = order_of(each)
        if order is not None and order.join is not None:
            along = 1 + order.join
            continue
        found.append(waiting[0] if len(waiting) == 1 else join(waiting, along))
        waiting = []
    return tuple(found)


def joined_shape(shapes: Sequence[tuple[int, ...]], along: int) -> tuple[int, ...]:
    """The shape of tensors side by side; ``along`` counts the images' axis, which they have not."""
    first, axis = shapes[0], along - 1
    return *first[:axis], sum(shape[axis] for shape in shapes), *first[axis + 1 :]


def fits_joins(shapes: Sequence[tuple[int, ...]], axes: Sequence[str | None]) -> bool:
    """Whether each output that is continued has a next one, alike but along that axis."""
    follow = [(shape, order_of(each)) for shape, each in zip(shapes, axes, strict=True)]
    for number, (shape, order) in enumerate(follow):
        if order is None or order.join is None:
            continue
        if number + 1 == len(follow) or order.join >= len(shape):
            return False
        (other, next_), axis = follow[number + 1], order.join
        # All parts of one tensor lie along one axis.
        if next_ is not None and next_.join not in (None, axis):
            return False
        if len(other) != len(shape):
            return False
        if (*shape[:axis], *shape[axis + 1 :]) != (*other[:axis], *other[axis + 1 :]):
            return False
    return True


def fits_output(block: Shape, axes: str, shape: tuple[int, ...]) -> bool:
    """Whether an output of ``axes`` and ``shape`` can hold the block's values."""
    order = order_of(axes)
    if order is None:
        return fits_axes(block, axes) and tuple(shape) == user_shape(block, axes)
    is_order = sorted(order.axes) == list(range(len(order.sizes)))
    return is_order and prod(order.sizes) == prod(block) == prod(shape)


def laid_out(blocks, axes: str | None, shape: tuple[int, ...]):
    """An output's blocks, an array or a tensor, in the user's ``shape``, (images, *shape)."""
    order = order_of(axes)
    if order is not None:
        blocks, now = blocks.reshape(len(blocks), *order.sizes), list(range(len(order.sizes)))
        # One axis after the other to its place: tensors and arrays both can exchange two.
        for place, axis in enumerate(order.axes):
            other = now.index(axis)
            blocks = blocks.swapaxes(1 + place, 1 + other)
            now[place], now[other] = now[other], now[place]
    elif axes is not None:
        blocks = from_blocks(blocks, axes)
    return blocks.reshape(len(blocks), *shape)


def frames_of(axes: str) -> int | None:
    """How many frames each channel of a volume is; None: the axes are no volume's."""
    found = re.fullmatch(VOLUME_AXES, axes)
    return None if found is None else int(found[1])


def meaning_of(axes: str) -> str | None:
    """What axes of a name are; None: no axes have that name."""
    frames = frames_of(axes)
    return AXES.get(axes) if frames is None else f"a volume, (channels, {frames}, height, width)"


def usual_axes(block: Shape) -> str:
    """The axes of an array that says no more than its block: a vector where that is one pixel."""
    return "C" if block[1:] == (1, 1) else "CHW"


def fits_axes(block: Shape, axes: str) -> bool:
    """Whether an array of ``axes`` can be the block: but for images, no width is left over."""
    frames = frames_of(axes)
    if frames is not None:
        return block[0] % frames == 0
    if axes not in AXES:
        return False
    if axes == "L":
        return block[0] == block[2] == 1
    # An image of one column is a legal image, so only the other axes bind the width.
    return axes == "CHW" or (block[1:] == (1, 1) if axes == "C" else block[2] == 1)


def user_shape(block: Shape, axes: str) -> tuple[int, ...]:
    """The shape of a user's array of ``axes``, without its batch."""
    channels, height, width = block
    frames = frames_of(axes)
    if frames is not None:
        return channels // frames, frames, height, width
    sizes = {"C": (channels,), "CL": (channels, height), "TC": (height, channels), "L": (height,)}
    return sizes.get(axes, block)


def to_blocks(x: np.ndarray, axes: str) -> np.ndarray:
    """Blocks, (images, channels, height, width), of arrays (images, \\*axes).

    What has four axes is blocks already, and anything else that fits no axes stays as it is.
    """
    if frames_of(axes) is not None and x.ndim == 5:
        # The frames of a channel lie behind each other, as channels do.
        return x.reshape(len(x), -1, *x.shape[3:]) if x.shape[2] == frames_of(axes) else x
    if axes == "CHW" or x.ndim != 1 + len(axes):
        return x
    # Blocks have channels first, because the accelerator's words are along channels.
    if axes == "TC":
        x = x.swapaxes(1, 2)
    # Of one channel, whose samples are places.
    if axes == "L":
        return x.reshape(len(x), 1, -1, 1)
    return x.reshape(*x.shape, *(1,) * (4 - x.ndim))


def from_blocks(blocks: np.ndarray, axes: str) -> np.ndarray:
    """Arrays (images, \\*axes) of blocks (images, channels, height, width)."""
    images, *block = blocks.shape
    if axes == "TC":
        blocks = blocks.swapaxes(1, 2)
    return blocks.reshape(images, *user_shape(tuple(block), axes))
