"""The epilogue's numbers as the hardware keeps them: every offset and half folds into the bias."""

from qnn.ir.epilogue import Epilogue
from qnn.ir.graph import Graph
from qnn.ir.ops import Conv


def fold(graph: Graph, node: Conv) -> Epilogue[tuple[int, ...]]:
    """The epilogue of ``node`` over stored values ``q - offset``; ``check_bounds`` proves it.

    Its arrays are Python's integers, one for each channel, and all of them are there; the table is
    NumPy's. Bounds of the clamp and entries of the table are as stored. What is not rounded is
    neither shifted right nor clamped.
    """
    plain, zeros = node.epilogue, (0,) * node.shape[0]
    low, high = clamp(node)
    return Epilogue(
        left=tuple(plain.left.tolist()),
        bias=tuple(node.sums(graph.sources(node)).stored_bias()),
        right=tuple(plain.right.tolist()) if plain.rounded else zeros,
        skip_left=zeros if plain.skip_left is None else tuple(plain.skip_left.tolist()),
        rounded=plain.rounded,
        low=low,
        high=high,
        table=None if plain.table is None else plain.table - node.type.offset,
    )


def clamp(node: Conv) -> tuple[int, int]:
    """The bounds of a result as stored; zeros where it is not rounded."""
    plain, offset = node.epilogue, node.epilogue.offset(node.type)
    # The offset of a result is subtracted before the clamp, whose bounds are then the lane's own.
    return (plain.low - offset, plain.high - offset) if plain.rounded else (0, 0)
