"""The meaning of an integer graph: every tensor of every image, exactly."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from qnn.errors import ModelError
from qnn.ir.arithmetic import arithmetic
from qnn.ir.encode import Arrays, as_blocks
from qnn.ir.graph import Graph
from qnn.ir.ops import Input
from qnn.quant.qtype import QType

if TYPE_CHECKING:
    from torch import Tensor

BATCH = 32  # images at a time: their tensors stay in the cache

Progress = Callable[[int, int], None]  # images done, images in all


def reference(
    graph: Graph,
    x: Arrays,
    *,
    outputs_only: bool = False,
    progress: Progress | None = None,
    known: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> dict[str, np.ndarray]:
    """Every tensor of the network, by name.

    Parameters
    ----------
    x : integers of the input's type, (images, channels, height, width) or of the input's axes; a
        tuple of such arrays where there are several inputs
    outputs_only : keep only what the network returns, to save memory
    known : tensors, as returned, that are not computed again

    Returns
    -------
    (images, channels, height, width) each; int32, or int64 where the type needs it

    Raises
    ------
    ModelError
        ``x`` has not the inputs' shapes, kinds or ranges.
    """
    parts, images = [], len(x[0]) if isinstance(x, tuple) else len(x)
    for start, tensors in stream(graph, x, outputs_only=outputs_only, known=known):
        parts.append(tensors)
        if progress is not None:
            progress(min(start + BATCH, images), images)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def stream(
    graph: Graph,
    x: Arrays,
    *,
    outputs_only: bool = False,
    batch: int = BATCH,
    known: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """What ``reference`` gives, ``batch`` images at a time, each with its first image's index."""
    exact = arithmetic()
    blocks = as_blocks(graph, x)
    given = [_checked(node, array) for node, array in zip(graph.inputs, blocks, strict=True)]
    prepared = {n.name: n.prepare(graph.sources(n)) for n in graph.nodes if n.name not in known}
    for start in range(0, len(given[0]), batch):
        part = [np.ascontiguousarray(array[start : start + batch]) for array in given]
        images = {n.name: exact.tensor_of(a) for n, a in zip(graph.inputs, part, strict=True)}
        part = {n: exact.tensor_of(tensor[start : start + batch]) for n, tensor in known.items()}
        with exact.exact_arithmetic():
            tensors = _run(graph, prepared, images, part, outputs_only)
        yield start, {name: exact.array_of(tensor) for name, tensor in tensors.items()}


def _run(
    graph: Graph,
    prepared: dict[str, Callable],
    images: "dict[str, Tensor]",
    known: "dict[str, Tensor]",
    outputs_only: bool,
) -> "dict[str, Tensor]":
    tensors, last_use = {}, {}
    # A node that nobody reads is last used where it is made.
    for node in graph.nodes:
        last_use |= dict.fromkeys((node.name, *node.inputs), node.name)
    wanted = {output.name for output in graph.outputs}
    for node in graph.nodes:
        if node.name in known:
            tensors[node.name] = known[node.name]
        else:
            is_input = node.name in images
            operands = [images[node.name]] if is_input else [tensors[name] for name in node.inputs]
            tensors[node.name] = prepared[node.name](*operands)
        # Freed as soon as the last reader is done: ResNet-50 would else keep all its maps.
        if outputs_only:
            unused = {name for name in tensors if last_use[name] == node.name} - wanted
            for name in unused:
                del tensors[name]
    return tensors


def fits_32_bits(type: QType) -> bool:
    """Whether 32-bit integers hold all that ``type`` does."""
    return -(1 << 31) <= type.low and type.high < 1 << 31


def _checked(node: Input, x: np.ndarray) -> np.ndarray:
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
    return x.astype(np.int32 if fits_32_bits(node.type) else np.int64)
