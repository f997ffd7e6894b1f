"""A QONNX file's operators, each held to what qonnx's own executor gives of the same operands."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from qnn.interchange.qonnx_parts import QonnxParts
from qnn.interchange.qonnx_trials import SEED, images_of, operand_trials, real_trials
from qnn.interchange.same_values import check_same
from qnn.ir.encode import round_reals
from qnn.ir.graph import Graph, Output
from qnn.ir.ops import Input, Operator
from qnn.ir.reference import reference

if TYPE_CHECKING:
    from onnx import ModelProto

EXACT = 1 << 24  # magnitudes below it are exact in float32, which qonnx computes with
# Of a larger sum float32 loses the last places; of some such sums added up, some more.
LOST_PLACES = 22

Progress = Callable[[int, int], None]  # operators done, operators in all


@dataclass(frozen=True)
class QonnxComparison:
    """What was compared with qonnx's executor, and found equal.

    Members
    -------
    operators, values, images : how many; images of each operator
    halves : values whose halves qonnx rounds otherwise, which only ties="up" allows
    inexact : values that a sum decides which float32 does not hold exactly
    clamps, reached : operators that clamp, and those of them whose both ends were reached
    """

    operators: int
    values: int
    images: int
    halves: int
    inexact: int
    clamps: int
    reached: int

    def __str__(self) -> str:
        text = (
            f"{self.values:,} values of {self.operators} operators equal qonnx's, on {self.images} "
            f"random image{'s' * (self.images > 1)} of each; of {self.clamps} clamps "
            f"{self.reached} met both ends"
        )
        if self.halves:
            text += f"; {self.halves:,} halves were rounded up that qonnx rounds otherwise"
        if self.inexact:
            text += f"; {self.inexact:,} lie between two integers, where float32 is not exact"
        return text


def compare_with_qonnx(
    model: "ModelProto",
    graph: Graph,
    tensors: Mapping[str, str],
    *,
    ties: str = "even",
    progress: Progress = lambda _done, _all: None,
) -> QonnxComparison:
    """What equals qonnx, which has to be every value of every operator.

    Each operator gets operands of its own, so that its clamps are reached whatever stands before
    it: what is equal for all operators is equal for the network.

    Parameters
    ----------
    tensors : the file's tensor that each operator of ``graph`` stands for, by name
    ties : of "up" a value that lies just between two may be the lower one

    Raises
    ------
    ModelError
        A value differs; the text names the first tensor that has one.
    ToolError
        qonnx is not installed, or cannot run the file.
    """
    parts, rng = QonnxParts(model, tensors), np.random.default_rng(SEED)
    images, counts = images_of(graph), []
    for number, node in enumerate(graph.nodes):
        progress(number, len(graph.nodes))
        if node.inputs:
            counts.append(_operator(parts, node, graph.sources(node), images, ties, rng))
        # What cuts an input off further is an operator of its own.
        elif node.name in tensors:
            counts.append(_input(parts, node, rng))
    progress(len(graph.nodes), len(graph.nodes))
    return QonnxComparison(len(counts), images=images, **_summed(counts))


def _summed(counts):
    names = ("values", "halves", "inexact", "clamps", "reached")
    return {name: sum(each.get(name, 0) for each in counts) for name in names}


def _input(parts, node, rng):
    """Reals become the codes that ``encode_input`` gives."""
    reals = real_trials(rng, node)
    wanted = round_reals(reals * node.type.scale, node.type)
    found = parts.run(node, (node,), (reals,))
    _check_same(parts, node, found, wanted, found != wanted)
    return {"values": found.size}


def _operator(parts, node, sources, images, ties, rng):
    """Codes become the integers that the reference gives."""
    # What is read twice is one tensor.
    operands = tuple({each.name: each for each in sources}.values())
    codes, places = _within_float32(node, sources, operand_trials(rng, node, operands, images))
    wanted, found = _integers(node, operands, codes), parts.run(node, operands, codes)
    halves = inexact = np.zeros(wanted.shape, bool)
    wrong = found != wanted
    if wrong.any() and ties == "up":
        halves = wrong & (found == _integers(_moved(node, -1), operands, codes))
    if wrong.any() and places:
        ends = [_integers(_moved(node, each), operands, codes) for each in (-places, places)]
        inexact = wrong & ~halves & ((found == ends[0]) | (found == ends[1]))
    _check_same(parts, node, found, wanted, wrong & ~halves & ~inexact)
    counts = {"values": found.size, "halves": int(halves.sum()), "inexact": int(inexact.sum())}
    return counts | _ends_reached(node, wanted)


def _within_float32(node, sources, codes):
    """Codes whose sums of products float32 holds, and how far off it may be behind them.

    The second is in the last places of what the epilogue adds up; 0 where all is exact.
    """
    if getattr(node, "epilogue", None) is None:
        return codes, 0
    products, result = node.sums(sources).plain_bounds()
    shrink = max(0, products.bit_length() - EXACT.bit_length() + 1)
    # Towards 0, so that no code leaves its type.
    codes = tuple(np.fix(each / (1 << shrink)).astype(each.dtype) for each in codes)
    return codes, (result >> LOST_PLACES) + 1 if result >= EXACT else 0


def _moved(node: Operator, places: int) -> Operator:
    """The operator with so much more in its bias, where it shifts anything out."""
    epilogue = node.epilogue
    bias = epilogue.bias + np.where(epilogue.right > 0, places, 0)
    return replace(node, epilogue=replace(epilogue, bias=bias))


def _integers(node, operands, codes):
    """What the reference gives of an operator alone."""
    given = tuple(Input(name=each.name, shape=each.shape, type=each.type) for each in operands)
    alone = Graph((*given, node), (Output(node.name, node.shape),))
    return reference(alone, codes, outputs_only=True)[node.name]


def _ends_reached(node, found) -> dict[str, int]:
    epilogue = getattr(node, "epilogue", None)
    if epilogue is None or not epilogue.rounded or epilogue.table is not None:
        return {}
    both = found.min() <= epilogue.low and found.max() >= epilogue.high
    return {"clamps": 1, "reached": int(both)}


def _check_same(parts, node, found, wanted, wrong):
    do = "report the file, or quantize it anew with --requantize"
    check_same(f"tensor '{parts.tensors[node.name]}'", "qonnx", found, wanted, wrong, do)
