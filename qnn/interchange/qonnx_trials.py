"""Operands that a file's operators are tried on, so that clamps meet both of their ends."""

from collections.abc import Sequence

import numpy as np

from qnn.ir.graph import Graph
from qnn.ir.ops import Input, Operator

SEED = 0
MOST_IMAGES = 8
MOST_PRODUCTS = 1 << 30  # of all images together, which take some seconds
PATCH = 4  # pixels of each side that have one kind of values
# Of a step from the nearest integer. Halves are no matter: who gives codes gives no halves.
BETWEEN = (-0.45, -0.25, 0.0, 0.25, 0.45)
BEYOND = 3  # steps beyond both ends of an input's type


def images_of(graph: Graph) -> int:
    """How many images each operator is tried on; of a large network one."""
    products = sum(node.macs for node in graph.nodes)
    return min(MOST_IMAGES, max(1, MOST_PRODUCTS // max(products, 1)))


def operand_trials(
    rng: np.random.Generator, node: Operator, operands: Sequence[Operator], images: int
) -> tuple[np.ndarray, ...]:
    """Codes of each operand, (images, channels, height, width), within its type."""
    # Of what sums by weights alone; others take what they get.
    weights = getattr(node, "integers", None)
    found, near = [], _near(node, weights, operands[0])
    for image in range(images):
        # Towards one end and then the other, and in between whatever comes.
        sign = (0, 1, -1, 0)[image % 4]
        parts = [_mixed(rng, each, near) for each in operands]
        if sign and weights is not None:
            aims = [_aim(rng, weights, node.window, operands[0]), np.ones(())]
            parts = [
                np.where(sign * aim > 0, each.type.high, np.where(aim == 0, part, each.type.low))
                for aim, each, part in zip(aims, operands, parts, strict=False)
            ]
        elif sign:
            parts = [np.full(each.shape, rng.choice(_ends(each))) for each in operands]
        found.append(parts)
    return tuple(np.stack(each).astype(np.int32) for each in zip(*found, strict=True))


def real_trials(rng: np.random.Generator, node: Input) -> np.ndarray:
    """Values of an input in steps of its type, between and beyond its steps: (1, *shape)."""
    low, high = node.type.low - BEYOND, node.type.high + BEYOND
    return rng.integers(low, high + 1, (1, *node.shape)) + rng.choice(BETWEEN, (1, *node.shape))


def _ends(node):
    return node.type.low, node.type.high


def _mixed(rng, node, near):
    """Patches of values from the whole type, of its ends, and of values up to ``near``."""
    channels, height, width = node.shape
    low, high = _ends(node)
    whole = rng.integers(low, high + 1, node.shape)
    ends = rng.choice((low, high), node.shape)
    small = rng.integers(-near, near + 1, node.shape).clip(low, high)
    flat = np.broadcast_to(rng.choice((low, high), (channels, 1, 1)), node.shape)
    # Of vectors each image is of one kind.
    kinds = rng.integers(0, 5, (1, -(-height // PATCH), -(-width // PATCH)))
    kinds = np.repeat(np.repeat(kinds, PATCH, 1), PATCH, 2)[:, :height, :width]
    return np.choose(np.broadcast_to(kinds, node.shape), (small, small, whole, ends, flat))


def _near(node, weights, operand):
    """How far values go whose sums mostly lie within a convolution's clamp."""
    high = max(operand.type.high, 1)
    if weights is None or not node.rounded:
        return high
    epilogue = node.epilogue
    rows = np.sqrt((weights.astype(np.float64) ** 2).sum((1, 2, 3))) * 2.0**epilogue.left
    span = (epilogue.high - epilogue.low + 1) * 2.0**epilogue.right
    return int(np.clip(np.median(span / np.maximum(rows, 1)), 1, high))


def _aim(rng, weights, window, operand):
    """Signs of an operand's values at which one channel of each group reaches furthest."""
    groups = window.groups
    rows = len(weights) // groups
    chosen = weights[np.arange(groups) * rows + rng.integers(rows)]
    # Of a kernel smaller than its map, windows overlap: what its taps have in common counts.
    whole = chosen.shape[2:] == operand.shape[1:]
    taps = chosen if whole else chosen.sum((2, 3), keepdims=True)
    aim = np.sign(taps).reshape(-1, *taps.shape[2:])
    return np.broadcast_to(aim, operand.shape)
