"""Calibration: the type of every tensor, from what it holds on sample data."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from qnn.errors import ModelError
from qnn.frontend.float_graph import Concat, Conv, Graph, Input, MaxPool
from qnn.frontend.float_run import stream
from qnn.nn.plan import RESULT_BITS
from qnn.quant.activation import choose_type
from qnn.quant.histogram import Histogram
from qnn.quant.qtype import QType

INPUT_BITS = 8  # at least: images have as many


def observe(graph: Graph, batches: Iterable[Tensor]) -> dict[str, Histogram]:
    """What each tensor of a fused graph holds on the data.

    Raises
    ------
    ModelError
        A tensor becomes NaN or infinite.
    """
    seen: dict[str, Histogram] = {}
    with torch.no_grad():
        for batch in batches:
            for name, value in stream(graph, batch):
                if not bool(torch.isfinite(value).all()):
                    raise ModelError(
                        f"layer '{name}' gives NaN or infinity on the calibration data; check the "
                        f"data's scale and the weights"
                    )
                found = Histogram.of(value)
                seen[name] = seen[name] + found if name in seen else found
    return seen


def unrounded(graph: Graph) -> set[str]:
    """Convolutions whose whole sum is a result of the network: outputs that nothing else reads."""
    return {
        node.name
        for node in graph.nodes
        if isinstance(node, Conv)
        and graph.is_output(node.name)
        and not graph.users(node.name)
        and not node.clamped
    }


def choose_types(
    graph: Graph, seen: Mapping[str, Histogram], activation_bits: int, input_signed: bool | None
) -> dict[str, QType]:
    """One type a tensor with the least squared error; tensors that share values share it.

    An unrounded result has the epilogue's bits and exponent 0, until its weights are known.
    ``input_signed`` None: signed where the data are.

    Raises
    ------
    ModelError
        A tensor is zero on all data, so that no exponent can be chosen.
    """
    whole = unrounded(graph)
    types = {name: QType(RESULT_BITS, True, 0) for name in whole}
    source = graph.nodes[0].name
    positive = _positive(
        graph, seen[source].least >= 0 if input_signed is None else not input_signed
    )
    for group in _groups(graph, whole):
        together = _together(group, seen)
        bits = max(activation_bits, INPUT_BITS) if source in group else activation_bits
        chosen = choose_type(together, bits, signed=not positive.issuperset(group))
        types |= dict.fromkeys(group, chosen)
    return types


def _together(group, seen):
    for name in group:
        if seen[name].least == seen[name].most == 0:
            raise ModelError(
                f"layer '{name}' has no range: it is zero for all calibration data; give data that "
                f"reach it, or remove the layer"
            )
    first, *rest = (seen[name] for name in group)
    return sum(rest, first)


def _groups(graph, whole):
    """Tensors that must have one type: pooled, copied and concatenated ones and their sources."""
    group = {}
    for node in graph.nodes:
        group[node.name] = {node.name}
        copied = isinstance(node, Conv) and node.copies and not node.requantize
        shares = isinstance(node, MaxPool | Concat) or (copied and node.name not in whole)
        for name in node.inputs if shares else ():
            joined = group[node.name] | group[name]
            group |= dict.fromkeys(joined, joined)
    groups = {min(members): members for members in group.values()}
    return [sorted(members) for members in groups.values() if not members & whole]


def _positive(graph, input_positive):
    """Tensors that cannot be negative, whatever the image."""
    positive = set()
    for node in graph.nodes:
        operands = positive.issuperset(node.inputs)
        if isinstance(node, Input):
            operands = input_positive
        elif isinstance(node, Conv):
            sums = node.fixed and node.batchnorm is None and operands
            operands = sums or (node.low is not None and node.low >= 0)
        if operands:
            positive.add(node.name)
    return positive
