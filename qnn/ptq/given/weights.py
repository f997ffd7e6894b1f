"""The fewest terms that have given weights exactly."""

from collections.abc import Sequence

import torch
from torch import Tensor

from qnn.errors import ModelError
from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.conv import FloatConv
from qnn.ptq.given.types import REQUANTIZE
from qnn.quant import pow2
from qnn.quant.search_exponent import search_exponent

# Of weights that are on no grid once a normalisation is taken in: 46 dB with 3 bits.
USUAL_TERMS = 4


def exact_terms(weight: Tensor, bits: int) -> tuple[int, ...] | None:
    """The fewest terms of each output channel with which no weight is rounded; None: too many."""
    found = torch.zeros(len(weight), dtype=torch.int64)
    # From one term up, as each is a step of the array.
    for terms in pow2.TERMS:
        open_ = (found == 0).nonzero().flatten()
        if not len(open_):
            break
        # A channel that has its codes needs no more of them.
        part = weight[open_]
        exponent = search_exponent(part, bits, terms)
        got = pow2.values(pow2.nearest(part, exponent, bits, terms), exponent, bits)
        exact = (got == part.double()).flatten(1).all(1)
        found[open_[exact]] = terms
    return None if bool((found == 0).any()) else tuple(found.tolist())


def terms_of(
    graph: FloatGraph, raw: FloatGraph, bits: int, terms: int
) -> dict[str, Sequence[int] | int]:
    """Terms of each layer that learns: those that have its weights, by its name.

    Parameters
    ----------
    graph : whose weights are to have codes
    raw : the same before normalisations and factors were taken in
    terms : of layers whose weights are on no grid then

    Raises
    ------
    ModelError
        A layer's own weights are on no grid of powers of two.
    """
    for conv in raw.convs:
        if not conv.fixed and exact_terms(conv.weight.double(), bits) is None:
            raise ModelError(
                f"layer '{conv.name}' needs weights that are sums of at most {max(pow2.TERMS)} "
                f"{bits}-bit powers of two, but has others; use quantizers such as "
                f"Int8WeightPerTensorFixedPoint, {REQUANTIZE}"
            )
    return {
        conv.name: exact_terms(_folded(conv), bits) or terms
        for conv in graph.convs
        if not conv.fixed
    }


def _folded(conv: FloatConv) -> Tensor:
    # As the layer folds them, in float64.
    factor = torch.full((len(conv.weight),), conv.scale, dtype=torch.float64)
    if conv.batchnorm is not None:
        norm = conv.batchnorm
        factor = factor * norm.gamma.double() / (norm.var.double() + norm.eps).sqrt()
    return conv.weight.double() * factor[:, None, None, None]
