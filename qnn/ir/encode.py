"""What a user gives and gets: arrays to blocks of integers for the inputs, and results to reals.

A tuple of arrays is several inputs, in the graph's order; a list is batches, one after the other,
and belongs one level up. An array may have its input's axes or be blocks already, (images,
channels, height, width).
"""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from qnn.errors import ModelError
from qnn.host.results import as_tuple, host_results
from qnn.ir.codes import Codes
from qnn.ir.graph import Graph, Output
from qnn.ir.ops import Input
from qnn.ir.ops.input import PIXELS
from qnn.ir.scaling import warn_of_pixels, warn_of_scale
from qnn.ir.shape import laid_out, meaning_of, to_blocks, user_shape
from qnn.quant.qtype import QType

Arrays = np.ndarray | tuple[np.ndarray, ...]  # for one input, or one for each


def as_blocks(graph: Graph, x: Arrays) -> tuple[np.ndarray, ...]:
    """One array of blocks, (images, channels, height, width), for each of the graph's inputs.

    Raises
    ------
    ModelError
        There is not one array for each input, of its shape, or they have not as many images.
    """
    nodes = graph.inputs
    arrays = x if isinstance(x, tuple) else (x,)
    if len(arrays) != len(nodes):
        names = ", ".join(f"'{node.name}'" for node in nodes)
        got = f"a tuple of {len(x)}" if isinstance(x, tuple) else f"one {_kind(x)}"
        raise ModelError(
            f"the network needs a tuple of {len(nodes)} arrays, for its inputs {names}, but got "
            f"{got}; give each input its own"
        )
    blocks = tuple(_blocks(node, array) for node, array in zip(nodes, arrays, strict=True))
    for node, array in zip(nodes, blocks, strict=True):
        if len(array) != len(blocks[0]):
            raise ModelError(
                f"input '{node.name}' needs {len(blocks[0])} images, as many as input "
                f"'{nodes[0].name}', but got {len(array)}; pair them"
            )
    return blocks


def encode_input(graph: Graph, x: Arrays) -> Arrays:
    """Blocks of integers of the inputs' types, ``Codes``; a tuple of them where ``x`` is one.

    Parameters
    ----------
    x : for each input 8-bit pixels, uint8, which the input's table maps; or what the float model
        takes, floats, rounded half up; or ``Codes``, which stay as they are

    Raises
    ------
    ModelError
        An array has not its input's shape, is not finite, is pixels without a table, codes out of
        the input's range, or integers of which nobody said what they are.
    """
    blocks = as_blocks(graph, x)
    encoded = tuple(_encoded(node, part) for node, part in zip(graph.inputs, blocks, strict=True))
    # A caller with one input gets an array for an array, as in and out of a model.
    return encoded if isinstance(x, tuple) else encoded[0]


def as_results(output: Output, blocks: np.ndarray) -> np.ndarray:
    """A tensor's blocks in the user's shape, (images, ...), before the host computes."""
    return laid_out(blocks, output.axes, output.shape)


def decode(graph: Graph, tensors: dict[str, np.ndarray]) -> tuple[np.ndarray, ...]:
    """What the user's model gives, nested as it is, in a tuple: (images, ...) float64.

    What ends in an argmax is classes, int64.
    """
    outputs = [as_results(o, np.asarray(tensors[o.name])) for o in graph.outputs]
    axes = [output.axes for output in graph.outputs]
    return as_tuple(host_results(output_reals(graph, outputs), axes, graph.host))


def output_reals(graph: Graph, outputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """What each output's integers stand for, exactly: float64."""
    return [
        np.ldexp(integers.astype(np.float64), -graph[output.name].type.exponent)
        for output, integers in zip(graph.outputs, outputs, strict=True)
    ]


def _kind(x: object) -> str:
    return "list" if isinstance(x, list) else "array"


def _blocks(node: Input, x: np.ndarray) -> np.ndarray:
    # np.asarray would join batches into an axis of their own, and the error would be of shapes.
    if isinstance(x, list | tuple):
        raise ModelError(
            f"input '{node.name}' needs an array, but got a {type(x).__name__}; a tuple of arrays "
            f"is several inputs, and the arrays of a list are to be joined first"
        )
    given = np.asanyarray(x)  # codes stay codes
    blocks = to_blocks(given, node.axes)
    if blocks.ndim == 4 and blocks.shape[1:] == node.shape and len(blocks):
        return blocks
    wanted = ", ".join(map(str, node.shape))
    # Vectors are named by their block too: both (N, C) and (N, C, 1, 1) are taken.
    needs, do = f"images of shape (N, {wanted})", "reshape them, channels first"
    if node.axes not in ("CHW", "C"):
        wanted = ", ".join(map(str, user_shape(node.shape, node.axes)))
        needs, do = f"arrays of shape (N, {wanted})", f"give it {meaning_of(node.axes)}"
    raise ModelError(
        f"input '{node.name}' needs {needs} with N at least 1, but got {given.shape}; {do}"
    )


def _encoded(node: Input, x: np.ndarray) -> Codes:
    if isinstance(x, Codes) and x.dtype.kind in "iu":
        return _in_range(node, x)
    if x.dtype == np.uint8:
        if node.table is None:
            raise ModelError(
                f"input '{node.name}' takes real numbers, but got 8-bit pixels; quantize with "
                f"mean= and std= so that the network knows its pixels, or pass floats"
            )
        warn_of_pixels(node.name, x)
        # One row of the table a channel, broadcast over rows and columns.
        return _of_pixels(node, x)
    if not np.issubdtype(x.dtype, np.floating):
        raise ModelError(
            f"input '{node.name}' takes floats, which are reals, or uint8, which are pixels, but "
            f"got {x.dtype}; convert them, or give qnn.Codes(x) if they are codes of its type"
        )
    if not np.isfinite(x).all():
        raise ModelError(
            f"input '{node.name}' takes finite numbers, but got NaN or infinity; clean the images"
        )
    if node.statistics is not None:
        return _of_pixels(node, _nearest_pixels(node, x))
    type = node.type
    warn_of_scale(node.name, x * 2.0**type.exponent, type.low, type.high, type.exponent)
    return Codes(round_reals(x, type).astype(np.int32))


def _of_pixels(node, pixels):
    channels = np.arange(node.shape[0])[:, None, None]
    return Codes(node.table[channels, pixels].astype(np.int32))


def _nearest_pixels(node, x):
    """The pixels, 0 to 255, that are nearest to what the float model takes, as PyTorch finds."""
    mean, std = _mean_and_std(node)
    low, high = (float(pick((end - mean) / std)) for pick, end in ((np.min, 0), (np.max, 1)))
    # In steps that are finer than any pixel's.
    warn_of_scale(node.name, x * PIXELS, low * PIXELS, high * PIXELS, PIXELS.bit_length() - 1)
    return nearest_pixels(x.astype(np.float64), mean, std).astype(np.int64)


def nearest_pixels(reals: Any, mean: Any, std: Any, xp: ModuleType = np) -> Any:
    """The pixels, 0 to 255, that are nearest to ``(pixel / 255 - mean) / std``, all in float64.

    Parameters
    ----------
    mean, std : that spread over ``reals``
    xp : ``torch`` where these are its tensors
    """
    # Away from the ends of a pixel's range no error of float32 changes it.
    return xp.floor((reals * std + mean) * (PIXELS - 1) + 0.5).clip(0, PIXELS - 1)


def _mean_and_std(node):
    return np.array(node.statistics)[:, :, None, None].swapaxes(0, 1)


def input_reals(graph: Graph, x: np.ndarray) -> np.ndarray:
    """What the float model takes, float64, of what ``encode_input`` takes for the only input.

    Values are those that the network tells apart.
    """
    (node,), codes = graph.inputs, encode_input(graph, x)
    if node.statistics is None:
        return codes * node.type.scale
    mean, std = _mean_and_std(node)
    # Rows of the table rise: the first pixel with an integer stands for all that share it.
    each = zip(node.table, codes.swapaxes(0, 1), strict=True)
    pixels = np.stack([np.searchsorted(*of_channel) for of_channel in each], 1)
    return (pixels / (PIXELS - 1) - mean) / std


def round_reals(x: np.ndarray, type: QType) -> np.ndarray:
    """Integers (int64) of reals: floor(x * 2**exponent + 1/2) in float64, clamped.

    What ``qnn.quant.activation.encode`` gives, without torch, which a reader of data may not have.
    """
    # In float64 a product with a power of two is exact.
    scaled = np.floor(x.astype(np.float64) * 2.0**type.exponent + 0.5)
    return scaled.clip(type.low, type.high).astype(np.int64)


def _in_range(node, codes):
    low, high = node.type.low, node.type.high
    least, most = int(codes.min()), int(codes.max())
    if least < low or most > high:
        raise ModelError(
            f"input '{node.name}' takes codes from {low} to {high}, but got "
            f"{least if least < low else most}; encode its reals with qnn.ir.encode.encode_input"
        )
    return codes
