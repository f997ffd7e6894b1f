"""Inputs that an exported file is tried on: the extremes of each input, and random ones."""

import numpy as np

from qnn.interchange.integer_model import takes_pixels
from qnn.ir.codes import Codes
from qnn.ir.encode import encode_input
from qnn.ir.graph import Graph
from qnn.ir.ops import Input
from qnn.ir.ops.input import PIXELS
from qnn.ir.shape import from_blocks

RANDOM = 2  # images of random values, beside one of the least, one of the greatest, one of both
SEED = 0


def trial_inputs(graph: Graph, *, codes: bool = False) -> tuple[np.ndarray, ...]:
    """For each input of the model blocks, (images, channels, height, width), of what it takes.

    That is uint8 for pixels, else int32; ``codes`` as of ``integer_model``.
    """
    rng = np.random.default_rng(SEED)
    return tuple(_of_input(rng, node, takes_pixels(node, codes)) for node in graph.inputs)


def fed(graph: Graph, x: tuple[np.ndarray, ...]) -> dict[str, np.ndarray]:
    """Blocks of the inputs, by name, as the model takes them: in the user's axes."""
    each = zip(graph.inputs, x, strict=True)
    return {node.name: from_blocks(np.asarray(blocks), node.axes) for node, blocks in each}


def encoded(graph: Graph, x: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """The integers that the network computes with, of what the model takes."""
    return encode_input(graph, tuple(a if a.dtype == np.uint8 else Codes(a) for a in x))


def _of_input(rng: np.random.Generator, node: Input, pixels: bool) -> np.ndarray:
    low, high = (0, PIXELS - 1) if pixels else (node.type.low, node.type.high)
    # Sums of weights of both signs reach furthest where values are at both ends.
    ends = rng.choice((low, high), node.shape)
    some = rng.integers(low, high + 1, (RANDOM, *node.shape))
    blocks = [np.full(node.shape, low), np.full(node.shape, high), ends, *some]
    return np.stack(blocks).astype(np.uint8 if pixels else np.int32)
