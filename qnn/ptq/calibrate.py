"""Calibration: the type of every tensor, from what it holds on sample data."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from qnn.errors import ModelError
from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.operator import sum_of
from qnn.frontend.run import stream
from qnn.functions.table import INDEX_BITS
from qnn.nn.layer_plans import sum_bits
from qnn.ptq.choose_index import choose_index
from qnn.ptq.needless_places import places_of, without_needless_places
from qnn.ptq.outliers import Peaks
from qnn.ptq.split_tables import divides
from qnn.quant.activation import choose_type
from qnn.quant.histogram import Histogram
from qnn.quant.qtype import QType

# A file's pixels have 256 values; fewer bits would lose some before the first layer.
INDEX_PLACES = 12  # of a table's index beyond those that its sums have: too many to be of use
INPUT_BITS = 8  # at least: images have as many


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
    parts = tuple(part for node in graph.nodes for part in node.unfused())
    unfused = replace(graph, nodes=parts)
    tensors = {node.name for node in graph.nodes}
    with torch.no_grad():
        for batch in batches:
            for name, value in stream(unfused, *batch):
                # The least and the greatest are NaN where any value is, and infinite likewise.
                if not bool(torch.stack(torch.aminmax(value)).isfinite().all()):
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
    given : types of tensors that need no choice, by name, as those of pixels
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
    index_bits = min(activation_bits, INDEX_BITS)
    # Indices decide which places are needless, and are judged by what their tables give, in the
    # results' types: once more where those have lost some.
    types |= _indices(graph, seen, types, index_bits)
    # Those of a file stay, needless or not.
    given_inside = given.keys() - inputs
    kept = {
        name: types[name]
        for group in _groups(graph, whole)
        for name in group
        if not given_inside.isdisjoint(group)
    }
    types = without_needless_places(graph, types, whole) | kept
    return types | _indices(graph, seen, types, index_bits)


def _indices(graph, seen, types, bits):
    """The type of the index of each table, under the name of the sum that it rounds."""
    found = {}
    for node in graph.nodes:
        sums, function = sum_of(node.name), node.unfused()[-1].as_function
        # What was found to be silent is a constant now, without the function that was seen.
        if function is not None and sums in seen:
            relative = divides(graph, node)
            index = choose_index(function, seen[sums], bits, types[node.name], relative)
            places = places_of(node, types)
            # Sums of dead channels beside others in one type: an index for them alone would leave
            # no bits for the steps that the sums have.
            most = index.exponent if places is None else places + INDEX_PLACES
            found[sums] = replace(index, exponent=min(index.exponent, most))
    return found


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
