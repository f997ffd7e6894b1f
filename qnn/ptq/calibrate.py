"""Calibration: the type of every tensor, from what it holds on sample data."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from qnn.errors import ModelError
from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.conv import FloatConv
from qnn.frontend.ops.operator import sum_of
from qnn.frontend.run import stream
from qnn.functions.table import INDEX_BITS
from qnn.nn.layer_plans import sum_bits
from qnn.ptq.choose_index import choose_index
from qnn.ptq.outliers import Peaks
from qnn.ptq.split_tables import divides
from qnn.quant.activation import choose_type
from qnn.quant.histogram import Histogram
from qnn.quant.qtype import QType

# A file's pixels have 256 values; fewer bits would lose some before the first layer.
INPUT_BITS = 8  # at least: images have as many
ADDEND_PLACES = 12  # beyond those of a sum's result, of which rounding leaves nothing


def observe(
    graph: FloatGraph, batches: Iterable[tuple[Tensor, ...]], peaks: Peaks | None = None
) -> dict[str, Histogram]:
    """What each tensor of a fused graph holds on the data, and each sum before a table.

    Parameters
    ----------
    batches : one tensor (batch, channels, height, width) for each input of the graph
    peaks : is told every tensor of every batch

    Raises
    ------
    ModelError
        A tensor becomes NaN or infinite.
    """
    seen: dict[str, Histogram] = {}
    images = 0
    unfused = FloatGraph(
        tuple(part for node in graph.nodes for part in node.unfused()), graph.outputs
    )
    tensors = {node.name for node in graph.nodes}
    with torch.no_grad():
        for batch in batches:
            for name, value in stream(unfused, *batch):
                if not bool(torch.isfinite(value).all()):
                    raise ModelError(
                        f"layer '{name}' gives NaN or infinity on the calibration data; check the "
                        f"data's scale and the weights"
                    )
                found = Histogram.of(value)
                # Histograms add up, so that no batch has to stay in memory.
                seen[name] = seen[name] + found if name in seen else found
                if peaks is not None and name in tensors:
                    peaks.add(name, value, images)
            images += len(batch[0])
    return seen


def unrounded(graph: FloatGraph) -> set[str]:
    """Convolutions whose whole sum is a result of the network: outputs that nothing else reads."""
    return {
        node.name
        for node in graph.convs
        if graph.is_output(node.name) and not graph.users(node.name) and not node.activated
    }


def choose_types(
    graph: FloatGraph,
    seen: Mapping[str, Histogram],
    activation_bits: int,
    input_signed: Mapping[str, bool],
    given: Mapping[str, QType],
) -> dict[str, QType]:
    """The type of each tensor, of least squared error; tensors that share values share it.

    So is the type of each table's index, under the name of the sum.

    An unrounded result has the epilogue's bits and exponent 0, until its weights are known.

    Parameters
    ----------
    input_signed : whether an input may be negative, by its name; where it says nothing, an input
        is signed where the data are
    given : types of inputs that need no choice, by name, as those of pixels
    """
    whole = unrounded(graph)
    # Their exponents follow from the weights, which are chosen after the types.
    types = {name: QType(sum_bits(activation_bits), True, 0) for name in whole}
    inputs = {source.name for source in graph.inputs}
    signed = {name: input_signed.get(name, seen[name].least < 0) for name in inputs}
    positive = _positive(graph, {name for name in inputs if not signed[name]})
    factors = {name for node in graph.nodes if node.multiplies for name in node.inputs}
    for group in _groups(graph, whole):
        fixed = [given[name] for name in group if name in given]
        if fixed:
            types |= dict.fromkeys(group, fixed[0])
            continue
        together = _together(group, seen)
        # Few bits of activations are a choice for the inside; an image keeps its own.
        outside = not inputs.isdisjoint(group)
        bits = max(activation_bits, INPUT_BITS) if outside else activation_bits
        signed, free_zero = not positive.issuperset(group), factors.isdisjoint(group)
        types |= dict.fromkeys(group, choose_type(together, bits, signed, free_zero))
    types = _no_finer_than_sums(graph, _no_finer_than_operands(graph, types), whole)
    # Last: an index is judged by what its table gives, in the result's type.
    return types | _indices(graph, seen, types, min(activation_bits, INDEX_BITS))


def _indices(graph, seen, types, bits):
    """The type of the index of each table, under the name of the sum that it rounds."""
    found = {}
    for node in graph.nodes:
        sums, function = sum_of(node.name), node.unfused()[-1].as_function
        # What was found to be silent is a constant now, without the function that was seen.
        if function is not None and sums in seen:
            relative = divides(graph, node)
            found[sums] = choose_index(function, seen[sums], bits, types[node.name], relative)
    return found


def _no_finer_than_operands(graph, types):
    """Types without more places behind the point than integers of their operands give."""
    for node in graph.nodes:
        places = _places(node, [types[name].exponent for name in node.inputs])
        if places is not None and types[node.name].exponent > places:
            # All of the group that has this type: they would differ else.
            finer, coarser = types[node.name], replace(types[node.name], exponent=places)
            types = {name: coarser if type is finer else type for name, type in types.items()}
    return types


def _no_finer_than_sums(graph, types, whole):
    """Types of addends without places that are lost in every sum, whose bits they would take."""
    # Tensors that share a type have one object.
    sharing = {}
    for node in graph.nodes:
        sharing.setdefault(id(types[node.name]), []).append(node)
    coarser = {}
    for nodes in sharing.values():
        names, type = {node.name for node in nodes}, types[nodes[0].name]
        readers = [(user, name) for name in names for user in graph.users(name)]
        sums = [user for user, name in readers if user.name not in names and _adds(user, name)]
        only_added = all(user.name in names or user in sums for user, _ in readers)
        known = whole.isdisjoint(user.name for user in sums) and not any(
            map(graph.is_output, names)
        )
        if not sums or not only_added or not known or not all(node.inputs for node in nodes):
            continue
        most = max(types[user.name].exponent for user in sums) + ADDEND_PLACES
        if type.exponent > most:
            coarser |= dict.fromkeys(names, replace(type, exponent=most, zero_point=0))
    return types | coarser


def _adds(node, name):
    """Whether an operand is part of a sum as it is, or with weights of the architecture."""
    if not isinstance(node, FloatConv) or node.shares_type:
        return False
    return node.skip == name or node.fixed


def _places(node, operands):
    """The places that a result may need of what its operands have; None: any number."""
    if len(node.unfused()) > 1:
        return None
    if node.multiplies:
        return sum(operands)
    # A sum that is always near 0, as over channels that are normalised, is no reason for more.
    return None if node.added_places is None else max(operands) + node.added_places


def _together(group, seen):
    first, *rest = (seen[name] for name in group)
    return sum(rest, first)


def _groups(graph, whole):
    """Tensors that must have one type: pooled, copied and concatenated ones and their sources."""
    group = {node.name: [node.name] for node in graph.nodes}
    for node in graph.nodes:
        if not node.shares_type or node.name in whole:
            continue
        for name in node.inputs:
            # The smaller joins the larger, so that no name moves more than log(nodes) times.
            small, large = sorted((group[node.name], group[name]), key=len)
            if small is not large:
                large += small
                group |= dict.fromkeys(small, large)
    groups = {id(members): sorted(members) for members in group.values()}
    return [members for members in groups.values() if whole.isdisjoint(members)]


def _positive(graph, inputs):
    """Tensors that cannot be negative, whatever the images."""
    positive = set(inputs)
    for node in graph.nodes[len(graph.inputs) :]:
        if node.never_negative(positive.issuperset(node.inputs)):
            positive.add(node.name)
    return positive
