"""The epilogue's numbers as the hardware keeps them: every offset and half folds into the bias."""

from dataclasses import dataclass

from qnn.ir.bounds import stored_bias
from qnn.ir.graph import Conv, Graph


@dataclass(frozen=True)
class Epilogue:
    """Per channel, for stored operands; ``low`` and ``high`` as stored."""

    bias: tuple[int, ...]
    left: tuple[int, ...]
    skip_left: tuple[int, ...]
    right: tuple[int, ...]
    low: int
    high: int


def fold(graph: Graph, node: Conv) -> Epilogue:
    """The epilogue of ``node`` over stored values ``q - offset``; ``check_bounds`` proves it."""
    outputs = node.shape[0]
    offset = node.type.offset if node.rounded else 0
    return Epilogue(
        bias=tuple(stored_bias(graph, node)),
        left=tuple(node.left.tolist()),
        skip_left=(0,) * outputs if node.skip is None else tuple(node.skip_left.tolist()),
        right=tuple(node.right.tolist()) if node.rounded else (0,) * outputs,
        low=node.low - offset if node.rounded else 0,
        high=node.high - offset if node.rounded else 0,
    )
