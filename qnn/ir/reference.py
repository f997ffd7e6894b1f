"""The meaning of an integer graph: every tensor of every image, exactly.

A convolution runs in the fastest arithmetic that ``plain_bounds`` proves exact: float32 while no
partial sum reaches 2**24, float64 while none reaches 2**53, else int64. No algorithm that
transforms its input is allowed, since those round.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from qnn.errors import CompileError, ModelError
from qnn.ir.bounds import integer_weights, plain_bounds
from qnn.ir.graph import Concat, Conv, Graph, Input, MaxPool, Padding
from qnn.quant import activation
from qnn.quant.qtype import QType

BATCH = 32  # images at a time: their tensors stay in the cache

Progress = Callable[[int, int], None]  # images done, images in all


def reference(
    graph: Graph, x: np.ndarray, *, outputs_only: bool = False, progress: Progress | None = None
) -> dict[str, np.ndarray]:
    """Every tensor of the network, by name.

    Parameters
    ----------
    x : (images, channels, height, width) integers of the input's type
    outputs_only : keep only what the network returns, to save memory

    Returns
    -------
    (images, channels, height, width) each; int32, or int64 where the type needs it

    Raises
    ------
    ModelError
        ``x`` has not the input's shape, kind or range.
    """
    parts = []
    for start, tensors in stream(graph, x, outputs_only=outputs_only):
        parts.append(tensors)
        if progress is not None:
            progress(min(start + BATCH, len(x)), len(x))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def stream(
    graph: Graph, x: np.ndarray, *, outputs_only: bool = False, batch: int = BATCH
) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """What ``reference`` gives, ``batch`` images at a time, each with its first image's index."""
    x = _checked_input(graph.input, x)
    convs = (node for node in graph.nodes if isinstance(node, Conv))
    prepared = {conv.name: _prepare(graph, conv) for conv in convs}
    for start in range(0, len(x), batch):
        images = torch.from_numpy(np.ascontiguousarray(x[start : start + batch]))
        with _exact_arithmetic():
            tensors = _run(graph, prepared, images, outputs_only)
        yield start, {name: tensor.numpy() for name, tensor in tensors.items()}


def as_images(graph: Graph, x: np.ndarray) -> np.ndarray:
    """``x`` as (images, channels, height, width), if a model of vectors takes (vectors, features).

    Anything else stays as it is.
    """
    x = np.asarray(x)
    takes_vectors = graph.input.shape[1:] == (1, 1)
    return x[:, :, None, None] if takes_vectors and x.ndim == 2 else x


def encode_input(graph: Graph, images: np.ndarray) -> np.ndarray:
    """Integers of the input's type, (images, channels, height, width).

    Parameters
    ----------
    images : (images, channels, height, width) or (vectors, features); 8-bit pixels, which the
        input's table maps, or what the float model takes, rounded half up

    Raises
    ------
    ModelError
        The images have not the input's shape, are not finite, or are pixels without a table.
    """
    node = graph.input
    images = as_images(graph, images)
    _check_shape(node, images)
    if images.dtype == np.uint8:
        if node.table is None:
            raise ModelError(
                f"input '{node.name}' takes real numbers, but got 8-bit pixels; quantize with "
                f"mean= and std= so that the network knows its pixels, or pass floats"
            )
        channels = np.arange(node.shape[0])[:, None, None]
        return node.table[channels, images].astype(np.int32)
    if not np.issubdtype(images.dtype, np.floating):
        raise ModelError(
            f"input '{node.name}' takes 8-bit pixels or floats, but got {images.dtype}; convert "
            f"the images"
        )
    if not np.isfinite(images).all():
        raise ModelError(
            f"input '{node.name}' takes finite numbers, but got NaN or infinity; clean the images"
        )
    return activation.encode(torch.from_numpy(images), node.type).numpy().astype(np.int32)


def decode(graph: Graph, tensors: dict[str, np.ndarray]) -> tuple[np.ndarray, ...]:
    """Reals of each output, in the shape that the user's model gives: (images, ...) float64."""
    reals = []
    for output in graph.outputs:
        integers = np.asarray(tensors[output.name])
        scaled = integers.astype(np.float64) * graph[output.name].type.scale
        reals.append(scaled.reshape(len(integers), *output.shape))
    return tuple(reals)


@contextmanager
def _exact_arithmetic():
    """No Winograd (NNPACK), no bfloat16 products, no autocast, no gradients."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode())
        stack.enter_context(torch.autocast("cpu", enabled=False))
        stack.enter_context(torch.backends.nnpack.flags(enabled=False))
        precision = getattr(torch.backends.mkldnn, "conv", None)
        if precision is not None:  # a torch that can be told to convolve in bfloat16
            stack.callback(setattr, precision, "fp32_precision", precision.fp32_precision)
            precision.fp32_precision = "ieee"
        yield


@dataclass(frozen=True, eq=False)
class _Arithmetic:
    """A convolution's numbers, once for all batches, as the tensors that compute it."""

    weights: Tensor  # (outputs, inputs / groups, kernel height, kernel width)
    left: Tensor  # (outputs, 1, 1), like the rest; of a dtype that holds every sum
    bias: Tensor  # rounding half included
    right: Tensor
    skip_left: Tensor | None


def _prepare(graph: Graph, conv: Conv) -> _Arithmetic:
    products, result = plain_bounds(graph, conv)
    if result >= 1 << 63:
        raise CompileError(
            f"conv '{conv.name}' needs sums of {result.bit_length() + 1} bits, but the reference "
            f"has 64; quantize to fewer bits"
        )
    dtype = torch.int64
    if products < 1 << 24:
        dtype = torch.float32
    elif products < 1 << 53:
        dtype = torch.float64

    def channels(values):
        wide = torch.from_numpy(np.asarray(values, np.int64))[:, None, None]
        return wide.to(torch.int32 if result < 1 << 31 else torch.int64)

    half = 1 << conv.right >> 1  # 0 where nothing is shifted out
    return _Arithmetic(
        weights=torch.from_numpy(integer_weights(conv)).to(dtype),
        left=channels(conv.left),
        bias=channels(conv.bias + half),
        right=channels(conv.right),
        skip_left=None if conv.skip is None else channels(conv.skip_left),
    )


def _run(
    graph: Graph, prepared: dict[str, _Arithmetic], images: Tensor, outputs_only: bool
) -> dict[str, Tensor]:
    tensors, last_use = {}, {}
    for node in graph.nodes:
        last_use |= dict.fromkeys((node.name, *node.inputs), node.name)
    wanted = {output.name for output in graph.outputs}
    for node in graph.nodes:
        match node:
            case Input():
                tensors[node.name] = images
            case Conv():
                tensors[node.name] = _conv(node, prepared[node.name], tensors)
            case MaxPool():
                tensors[node.name] = _max_pool(node, tensors[node.input])
            case Concat():
                tensors[node.name] = torch.cat([tensors[name] for name in node.inputs], 1)
        if outputs_only:
            unused = {name for name in tensors if last_use[name] == node.name} - wanted
            for name in unused:
                del tensors[name]
    return tensors


def _conv(conv: Conv, arithmetic: _Arithmetic, tensors: dict[str, Tensor]) -> Tensor:
    weights = arithmetic.weights
    acc = F.conv2d(
        _padded(tensors[conv.input].to(weights.dtype), conv.padding, 0),
        weights,
        stride=conv.stride,
        dilation=conv.dilation,
        groups=conv.groups,
    )
    v = acc.to(arithmetic.bias.dtype)
    v <<= arithmetic.left
    v += arithmetic.bias
    if conv.skip is not None:
        v += tensors[conv.skip].to(v.dtype) << arithmetic.skip_left
    if conv.rounded:
        v >>= arithmetic.right
        v.clamp_(conv.low, conv.high)
    return v.to(_dtype(conv.type))


def _max_pool(pool: MaxPool, x: Tensor) -> Tensor:
    x = _padded(x, pool.padding, pool.type.low)
    _, height, width = pool.shape
    best = None
    for row in range(pool.kernel[0]):
        for column in range(pool.kernel[1]):
            top, left = row * pool.dilation[0], column * pool.dilation[1]
            tap = x[:, :, top :: pool.stride[0], left :: pool.stride[1]][:, :, :height, :width]
            best = tap if best is None else torch.maximum(best, tap)
    return best.clone() if best is tap else best


def _padded(x: Tensor, padding: Padding, value: int) -> Tensor:
    top, bottom, left, right = padding
    return F.pad(x, (left, right, top, bottom), value=value) if any(padding) else x


def _dtype(type: QType) -> torch.dtype:
    return torch.int32 if -(1 << 31) <= type.low and type.high < 1 << 31 else torch.int64


def _check_shape(node: Input, x: np.ndarray) -> None:
    if x.ndim != 4 or x.shape[1:] != node.shape or not len(x):
        wanted = ", ".join(map(str, node.shape))
        raise ModelError(
            f"input '{node.name}' needs images of shape (N, {wanted}) with N at least 1, but got "
            f"{tuple(x.shape)}; reshape them, channels first"
        )


def _checked_input(node: Input, x: np.ndarray) -> np.ndarray:
    x = np.asarray(x)
    _check_shape(node, x)
    if not np.issubdtype(x.dtype, np.integer):
        raise ModelError(
            f"input '{node.name}' needs integers of type {node.type}, but got {x.dtype}; convert "
            f"images with encode_input"
        )
    least, most = int(x.min()), int(x.max())
    if least < node.type.low or most > node.type.high:
        raise ModelError(
            f"input '{node.name}' needs integers from {node.type.low} to {node.type.high}, but "
            f"got {least} to {most}; convert images with encode_input"
        )
    return x.astype(np.int32 if _dtype(node.type) is torch.int32 else np.int64)
