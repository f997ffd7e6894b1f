"""How large the integers inside each convolution can get, whatever the image: interval proofs."""

from dataclasses import dataclass

import numpy as np

from qnn.errors import CompileError
from qnn.ir.graph import Conv, Graph
from qnn.quant.qtype import QType


@dataclass(frozen=True)
class Bounds:
    """What one convolution can reach on the array, where unsigned tensors are stored offset.

    Members
    -------
    name : the node
    accumulator : least and greatest partial sum of products, in any order
    result : least and greatest value of the epilogue's sum, at each of its steps
    shift : most places of a shift
    """

    name: str
    accumulator: tuple[int, int]
    result: tuple[int, int]
    shift: int

    @property
    def accumulator_bits(self) -> int:
        """Of the two's complement that holds every partial sum."""
        return max(map(_bits, self.accumulator))

    @property
    def result_bits(self) -> int:
        """Of the two's complement that holds the epilogue's sums, with places for each shift."""
        return max(self.shift + 1, *map(_bits, self.result))


def bounds(graph: Graph) -> dict[str, Bounds]:
    """The bounds of every convolution, by name."""
    return {node.name: _bounds(graph, node) for node in graph.nodes if isinstance(node, Conv)}


def check_bounds(graph: Graph, accumulator_bits: int, result_bits: int) -> None:
    """Prove that no sum of products leaves ``accumulator_bits``, and no result ``result_bits``.

    Nor may an unrounded result leave its own type, which is what the reference keeps of it.

    Raises
    ------
    CompileError
        A convolution could overflow; the text names it.
    """
    for bound in bounds(graph).values():
        for field, needed, given in (
            ("accumulator_bits", bound.accumulator_bits, accumulator_bits),
            ("result_bits", bound.result_bits, result_bits),
        ):
            if needed > given:
                raise CompileError(
                    f"conv '{bound.name}' needs {needed} bits for its sums to be safe from "
                    f"overflow, but the accelerator has {given}; take a configuration with "
                    f"{field}={needed}, or fewer weight or activation bits"
                )
        _check_whole(graph, graph[bound.name])


def _check_whole(graph, conv):
    needed = plain_bounds(graph, conv)[1].bit_length() + 1
    if not conv.rounded and needed > conv.type.bits:
        raise CompileError(
            f"conv '{conv.name}' needs {needed} bits for its unrounded result, but its type "
            f"{conv.type} has {conv.type.bits}; give it a wider one, or shift it less"
        )


def stored_bias(graph: Graph, conv: Conv) -> list[int]:
    """Each channel's bias as the accelerator keeps it: rounding and storage offsets folded in.

    With operands stored as ``q - offset`` (padding too), the result stored likewise is
    ``((acc << left) + stored_bias + (skip << skip_left)) >> right``, then clamped.
    """
    weights = integer_weights(conv)
    sums = [int(total) for total in weights.reshape(len(weights), -1).sum(1)]
    offset = graph[conv.input].type.offset
    skip_offset = 0 if conv.skip is None else graph[conv.skip].type.offset
    folded = []
    for channel, total in enumerate(sums):
        left, right = int(conv.left[channel]), int(conv.right[channel])
        bias = int(conv.bias[channel]) + (offset * total << left)
        if conv.skip is not None:
            bias += skip_offset << int(conv.skip_left[channel])
        if conv.rounded:
            bias += (1 << right >> 1) - (conv.type.offset << right)
        folded.append(bias)
    return folded


def integer_weights(conv: Conv) -> np.ndarray:
    """Weights as the array multiplies by them, terms summed: int64, ``conv.codes[0]``'s shape."""
    return _magnitudes(conv.codes).sum(0)


def plain_bounds(graph: Graph, conv: Conv) -> tuple[int, int]:
    """Greatest magnitude of a partial sum of products, and of the sum with everything added.

    For integers as the graph has them, without storage offsets: what the reference computes with.
    """
    weights = np.abs(integer_weights(conv))
    reach = _reach(graph[conv.input].type)
    sums = [int(total) * reach for total in weights.reshape(len(weights), -1).sum(1)]
    skip = 0 if conv.skip is None else _reach(graph[conv.skip].type)
    results = []
    for channel, total in enumerate(sums):
        result = (total << int(conv.left[channel])) + abs(int(conv.bias[channel]))
        result += 1 << int(conv.right[channel]) >> 1
        if conv.skip is not None:
            result += skip << int(conv.skip_left[channel])
        results.append(result)
    return max(sums), max(results)


def _bounds(graph: Graph, conv: Conv) -> Bounds:
    magnitudes = _magnitudes(conv.codes).swapaxes(0, 1).reshape(conv.shape[0], -1)
    positive = [int(total) for total in magnitudes.clip(min=0).sum(1)]
    negative = [int(total) for total in -magnitudes.clip(max=0).sum(1)]
    low, high = _stored_range(graph[conv.input].type)
    skip = (0, 0) if conv.skip is None else _stored_range(graph[conv.skip].type)
    sums, results = [], []
    for channel, bias in enumerate(stored_bias(graph, conv)):
        plus, minus = positive[channel], negative[channel]
        least, most = plus * low - minus * high, plus * high - minus * low
        sums += [least, most]
        left = int(conv.left[channel])
        skip_left = 0 if conv.skip is None else int(conv.skip_left[channel])
        for step in (0, bias):
            results += [(least << left) + step, (most << left) + step]
        results += [(least << left) + bias + (skip[0] << skip_left)]
        results += [(most << left) + bias + (skip[1] << skip_left)]
    shifts = [conv.left, conv.right, *([] if conv.skip is None else [conv.skip_left])]
    return Bounds(
        conv.name,
        (min(sums), max(sums)),
        (min(results), max(results)),  # a stored bias lies between two
        max(int(places.max()) for places in shifts),
    )


def _magnitudes(codes):
    wide = codes.astype(np.int64)
    return np.sign(wide) * (1 << np.abs(wide) >> 1)


def _reach(type: QType) -> int:
    return max(-type.low, type.high)


def _stored_range(type: QType) -> tuple[int, int]:
    return type.low - type.offset, type.high - type.offset


def _bits(value: int) -> int:
    """Bits of the two's complement that holds ``value``."""
    return (value if value >= 0 else ~value).bit_length() + 1
