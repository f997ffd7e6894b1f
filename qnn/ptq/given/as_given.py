"""A network with quantizers of its own, taken as it is: integers, weights and all."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from qnn.errors import ModelError
from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.operator import sum_of
from qnn.functions.table import INDEX_BITS
from qnn.nn.layers import QuantConv
from qnn.nn.model import QuantizedModel
from qnn.nn.preprocess import Pixels
from qnn.nn.scales import sums_limit, sums_reach
from qnn.ptq.calibrate import choose_types, observe
from qnn.ptq.calibrated import Calibrated
from qnn.ptq.choose_index import choose_index
from qnn.ptq.chunks import chunks
from qnn.ptq.given.report import CLOSE, GivenReport, compared
from qnn.ptq.given.settle import settle
from qnn.ptq.given.types import (
    absorb_inputs,
    check_given,
    given_types,
    unify_joins,
)
from qnn.ptq.given.weights import USUAL_TERMS, terms_of

MOST_PLACES = 32  # that a bias may have beyond those of the sums
COMPARED = 64  # images whose integers are compared, which takes a second for a small network


def has_quantizers(graph: FloatGraph) -> bool:
    """Whether a fused network brings quantizers along."""
    return any(node.given is not None for node in graph.nodes)


def as_given(
    fused: FloatGraph,
    batches: Sequence[tuple[Tensor, ...]],
    pixels: tuple[Pixels | None, ...],
    formats: tuple[int, int],
    terms: int | str,
    ties: str,
) -> tuple[QuantizedModel, GivenReport]:
    """The quantized network with the integers of the quantizers of ``fused``, and what differs.

    Parameters
    ----------
    batches : blocks of each input
    formats : bits of weights, and of activations that have no quantizer
    terms : of layers whose weights are on no grid once factors are taken in; "auto": the usual
    ties : "even" or "up", see ``settle``

    Raises
    ------
    ModelError
        A scale is no power of two, or a layer's weights are on no grid of them.
    """
    check_given(fused)
    graph, inputs, inexact = absorb_inputs(fused)
    graph = unify_joins(graph, inputs)
    known = given_types(graph, inputs)
    weight_bits, activation_bits = formats
    seen = observe(graph, chunks(batches))
    signs = {
        source.name: bool((pixel.values() < 0).any())
        for source, pixel in zip(graph.inputs, pixels, strict=True)
        if pixel is not None
    }
    # Tensors without a quantizer get the types that their values on the data ask for.
    types = choose_types(graph, seen, activation_bits, signs, known) | known
    settled = settle(graph, types | _indices(graph, seen, types), ties, inexact)
    usual = terms if isinstance(terms, int) else USUAL_TERMS
    channel_terms = terms_of(settled.graph, graph, weight_bits, usual)
    calibrated = Calibrated(
        settled.graph,
        settled.types,
        pixels,
        weight_bits,
        max([type.bits for type in known.values()], default=activation_bits),
    )
    # Networks of pooling alone have no weights.
    quantized = calibrated.build(channel_terms or 1, "nearest")
    for conv in quantized.plan.convs:
        if not conv.rounded and _refine(quantized.layer(conv.name)):
            settled.inexact.pop(conv.name, None)
    images = tuple(torch.cat(each)[:COMPARED] for each in zip(*batches, strict=True))
    return quantized, compared(fused, settled, quantized, images)


def _indices(graph, seen, types):
    """As fine an index as there is for tables whose sums have more bits than an index."""
    found = {}
    for node in graph.nodes:
        function = node.unfused()[-1].as_function
        if function is not None and sum_of(node.name) in seen:
            sums, type = seen[sum_of(node.name)], types[node.name]
            found[sum_of(node.name)] = choose_index(function, sums, INDEX_BITS, type)
    return found


def _refine(conv: QuantConv) -> bool:
    """Whether an output that nothing rounds has room for the places of its bias, which it gets."""
    bias, limit = conv.folded_bias(), sums_limit(conv)
    for _ in range(MOST_PLACES):
        scale = 2.0 ** -int(conv.exponent)
        lost = (bias - torch.round(bias / scale) * scale).abs().max()
        if bool(lost <= CLOSE * bias.abs().max()):
            return True
        conv.exponent.add_(1)
        # One too many: sums would no longer fit.
        if bool((sums_reach(conv, conv.indices()) >= limit).any()):
            conv.exponent.sub_(1)
            break
    return False


def check_own(asked: Mapping[str, bool]) -> None:
    """Return if nothing was asked for that only a network with quantizers can be given.

    Parameters
    ----------
    asked : of each option that is of quantizers which the network does not have, whether it is used

    Raises
    ------
    ModelError
        An option would be ignored.
    """
    named = [name for name, used in asked.items() if used]
    if named:
        raise ModelError(
            f"{', '.join(named)} of quantize needs a network with quantizers of its own, as of "
            f"Brevitas or QONNX, but this one has none; leave it out"
        )


def check_plain(
    rounding: str, terms: object, weight_bits: object, asked: Mapping[str, object]
) -> None:
    """Return if nothing was asked for that only a float network can be given.

    Raises
    ------
    ModelError
        An option would be ignored.
    """
    named = [name for name, value in asked.items() if value is not None]
    named += ["rounding"] if rounding not in ("auto", "nearest") else []
    named += ["terms"] if not isinstance(terms, int | str) else []
    named += ["weight_bits"] if not isinstance(weight_bits, int) else []
    if named:
        raise ModelError(
            f"{', '.join(named)} of quantize needs a float network, but this one has quantizers of "
            f"its own; leave it out, or quantize the float network with requantize=True "
            f"(--requantize)"
        )
