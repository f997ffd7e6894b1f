"""Tensors to feature words and back, as an image's layouts say; numpy only."""

import numpy as np

from hw.spec.image import Image
from hw.spec.isa.buffers import Buffer
from hw.spec.isa.packing import pack, unpack
from hw.spec.tensors import Gather, TensorLayout
from qnn.runtime.given import Given, each_input


def places(layout: TensorLayout, lanes: int) -> tuple[np.ndarray, np.ndarray]:
    """Word, from the tensor's first, and lane of every value of pass 0: (channels, height, width).

    The lane has the shape (channels, 1, 1).
    """
    blocks, positions, first = [], [], 0
    for count in layout.channels:
        blocks += [first + channel // lanes for channel in range(count)]
        positions += [channel % lanes for channel in range(count)]
        first += -(-count // lanes)
    columns = np.arange(layout.width) * layout.x_step
    rows = np.arange(layout.height)[:, None] * layout.pitch + columns
    words = np.array(blocks)[:, None, None] * layout.block_step + rows
    return words, np.array(positions)[:, None, None]


def from_words(words: np.ndarray, layout: TensorLayout, activation_bits: int) -> np.ndarray:
    """The tensor in stored lanes.

    Parameters
    ----------
    words : (..., words, lanes) signed integers, from the tensor's first word on

    Returns
    -------
    (..., channels, height, width) integers of the tensor's type
    """
    word, lane = places(layout, words.shape[-1])
    if layout.passes == 1:
        # In 32 bits, as 16-bit lanes and their offset need 17.
        return words[..., word, lane] + np.int32(layout.offset)
    total = 0
    for number in range(layout.passes):
        piece = words[..., word + number * layout.pass_step, lane].astype(np.int64)
        if number < layout.passes - 1:
            # Lower slices are unsigned; the last one has the sign.
            piece &= (1 << activation_bits) - 1
        total = total + (piece << (number * activation_bits))
    return total


def to_words(
    tensor: np.ndarray, layout: TensorLayout, lanes: int, activation_bits: int
) -> np.ndarray:
    """The inverse of ``from_words``: (..., words, lanes) int64; the rest is 0.

    Only the low ``activation_bits`` bits of a lane count.
    """
    word, lane = places(layout, lanes)
    words = np.zeros((*tensor.shape[:-3], layout.words(lanes), lanes), np.int64)
    stored = tensor - layout.offset
    for number in range(layout.passes):
        words[..., word + number * layout.pass_step, lane] = stored >> (number * activation_bits)
    return words


def gathered(tensor: np.ndarray, gather: Gather, size: tuple[int, int]) -> np.ndarray:
    """The packed tensor of ``size`` (height, width) words.

    Takes (..., channels, height, width); gives the same with the channels of a word.
    """
    places = [
        first + np.arange(count)[:, None] * step + np.arange(taps) * dilation
        for first, count, step, taps, dilation in zip(
            gather.first, size, gather.step, gather.taps, gather.dilation, strict=True
        )
    ]
    rows, columns = places[0][:, :, None, None], places[1]
    height, width = tensor.shape[-2:]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    # Clipped so that every index is legal; what was outside is cleared in the next line.
    taken = tensor[..., rows.clip(0, height - 1), columns.clip(0, width - 1)]  # ..., c, y, i, x, j
    taken = np.moveaxis(taken * inside, (-3, -1), (-5, -4))  # ..., i, j, c, y, x
    return taken.reshape(*tensor.shape[:-3], -1, *size)


def pack_inputs(image: Image, x: Given) -> np.ndarray:
    """The INPUT region of each run.

    Parameters
    ----------
    x : (images, channels, height, width) integers of the input's type, a tuple of such arrays where
        there are several inputs; the last run is filled up with copies of the last image

    Returns
    -------
    (runs, input_bytes) uint8

    Raises
    ------
    ValueError
        The shape or the range is not the input's; the text names it.
    DeviceError
        There is not one array for each input, of as many images.
    """
    arrays = each_input(image, x)
    for layout, array in zip(image.network_inputs, arrays, strict=True):
        _check_input(layout, array)
    runs = -(-len(arrays[0]) // image.batch)
    data = np.zeros((runs, image.input_bytes), np.uint8)
    for first, array in enumerate(arrays):
        filled = np.concatenate([array, np.repeat(array[-1:], runs * image.batch - len(array), 0)])
        filled = filled.reshape(runs, image.batch, *array.shape[1:])
        for number, layout in enumerate(image.inputs[first :: len(arrays)]):
            tensor = filled[:, number]
            if layout.gather is not None:
                tensor = gathered(tensor, layout.gather, (layout.height, layout.width))
            words = to_words(tensor, layout, image.config.lanes, image.config.activation_bits)
            _put(data, words, layout, image.config)
    return data


def _check_input(layout, x):
    wanted = layout.shape
    if x.ndim != 4 or x.shape[1:] != wanted or not len(x):
        raise ValueError(
            f"input '{layout.name}' needs images of shape (N, {', '.join(map(str, wanted))}), not "
            f"{tuple(x.shape)}"
        )
    low, high = layout.limits
    if x.min() < low or x.max() > high:
        raise ValueError(
            f"input '{layout.name}' needs integers from {low} to {high}, not {x.min()} to {x.max()}"
        )


def unpack_outputs(image: Image, data: np.ndarray, count: int) -> tuple[np.ndarray, ...]:
    """The outputs of the network from the OUTPUT region of each run.

    Parameters
    ----------
    data : (runs, output_bytes) uint8
    count : images that were asked for

    Returns
    -------
    (count, channels, height, width) integers for each output
    """
    outputs = len(image.output_shapes)
    tensors = [_get(data, place, image.config) for place in image.outputs]
    return tuple(
        np.stack(tensors[number::outputs], 1).reshape(-1, *tensors[number].shape[1:])[:count]
        for number in range(outputs)
    )


def _put(data, words, layout, config):
    size = Buffer.FEATURES.word_bytes(config)
    packed = pack(words, config.activation_bits, size).reshape(len(data), -1)
    start = layout.address * size
    data[:, start : start + packed.shape[1]] = packed


def _get(data, layout, config):
    size, count = Buffer.FEATURES.word_bytes(config), layout.words(config.lanes)
    raw = data[:, layout.address * size : (layout.address + count) * size]
    raw = raw.reshape(len(data), count, size)
    words = unpack(raw, config.activation_bits, config.lanes, signed=True)
    return from_words(words, layout, config.activation_bits)
