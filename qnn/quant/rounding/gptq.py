"""GPTQ: rounding column by column, each error taken up by the columns that follow."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from qnn.errors import ModelError
from qnn.quant.rounding.checkpoint import Checkpoint
from qnn.quant.rounding.layer import columns, inputs_of, samples
from qnn.quant.rounding.layer_by_layer import layer_by_layer
from qnn.quant.rounding.options import positive, within
from qnn.quant.rounding.problem import LayerWeights, Problem, Progress, Rounded

# As in the paper: the product with the rest is then a matrix product, and the block stays in cache.
BLOCK = 128  # columns whose errors reach the rest together


@dataclass(frozen=True)
class Gptq:
    """Options of ``gptq``.

    Members
    -------
    samples, batch, seed : how much data the layers' second moments are taken from
    damping : added to their diagonal, as a share of its mean
    activation_order : round the columns of the largest inputs first
    """

    samples: int = 1024
    batch: int = 128
    seed: int = 0
    # The paper's 1 %.
    damping: float = 0.01
    activation_order: bool = True

    def __post_init__(self):
        positive("gptq", self, "samples", "batch", "damping")
        within("gptq", self, 0, float("inf"), "seed")


@torch.no_grad()
def gptq(
    problem: Problem,
    options: Gptq,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> Rounded:
    """Round each layer so that its sums change least, in the order in which the layers run.

    A layer's inputs are those behind the layers that are rounded already. Its weights may go to
    any value of the grid, because the errors of earlier columns move them.

    Raises
    ------
    ModelError
        There is no data, a layer is not linear or a convolution, or the checkpoint is another's.

    Source
    ------
    Frantar et al., "GPTQ", arXiv:2210.17323, algorithm 1; the grid's nearest value of a column
    stands in for uniform rounding.
    """
    batches = samples(problem, options.samples, options.batch, options.seed)

    def round_layer(owner, _place, given, _begun, keep):
        layer = problem.layers[owner.name]
        moments = _second_moments(problem, owner, given, batches, keep)
        return layer.indices(_round_groups(layer, moments, options))

    return layer_by_layer("gptq", problem, options, round_layer, progress, checkpoint)


def _second_moments(problem, owner, given, batches, keep) -> Tensor:
    """Mean of 2 x x^T over all sums, (groups, weights of a sum, same) float64."""
    sums: list[Tensor] = []
    count = 0

    def take(operands):
        nonlocal count
        x = columns(owner.module, operands[0], owner.name, "gptq").float()
        # Products in float32, sums of batches in float64: the Cholesky factor needs the digits.
        moments = torch.einsum("ngi,ngj->gij", x, x).double().cpu()
        sums[:] = [sums[0] + moments] if sums else [moments]
        count += len(x)
        # A layer is begun again: there is nothing to keep of it, but the run may stop here.
        keep(0, dict)

    inputs_of(owner, problem, given, batches, take)
    if not bool(torch.isfinite(sums[0]).all()):
        raise ModelError(
            f"gptq needs finite inputs, but those of '{owner.name}' hold NaN or infinity; check "
            f"the data"
        )
    return sums[0] * (2 / count)


def _round_groups(layer: LayerWeights, moments: Tensor, options: Gptq) -> Tensor:
    """Values of the grid, in the shape of the layer's weights."""
    groups = len(moments)
    flat = layer.w.detach().double().cpu().reshape(groups, len(layer.w) // groups, -1)
    exponents = layer.exponent.cpu().reshape(groups, -1)
    terms = [layer.terms] * groups
    if not isinstance(layer.terms, int):
        rows = len(layer.w) // groups
        terms = [layer.terms[group * rows : (group + 1) * rows] for group in range(groups)]
    rounded = [
        round_columns(replace(layer, w=w, exponent=exponent, terms=k), h, options)
        for w, exponent, k, h in zip(flat, exponents, terms, moments, strict=True)
    ]
    return torch.cat(rounded).reshape(layer.w.shape)


def round_columns(
    layer: LayerWeights, moments: Tensor, options: Gptq, block: int = BLOCK
) -> Tensor:
    """Values of the grid for one matrix.

    Parameters
    ----------
    layer : ``w`` (outputs, inputs) float64
    moments : (inputs, inputs) second moments of the inputs

    Returns
    -------
    (outputs, inputs) float64
    """
    scale = moments.diagonal()
    order = torch.arange(len(scale))
    if options.activation_order:
        # Large inputs first, while there are many columns left that can take their errors up.
        order = torch.argsort(scale, descending=True, stable=True)
    w = layer.w[:, order].clone()
    result = torch.empty_like(w)
    factor = _inverse_factor(moments[order][:, order], options.damping)
    for start in range(0, len(order), block):
        stop = min(start + block, len(order))
        errors = torch.zeros_like(w[:, start:stop])
        for column in range(start, stop):
            one = replace(layer, w=w[:, column : column + 1])
            # Also at the ends of the grid: what clips is an error like another, which later columns
            # take up.
            result[:, column] = one.values(one.nearest())[:, 0]
            error = (w[:, column] - result[:, column]) / factor[column, column]
            # Row `column` of the upper factor is all that the inverse of the rest has to say: the
            # paper's Cholesky form.
            w[:, column:stop] -= error[:, None] * factor[column, column:stop]
            errors[:, column - start] = error
        w[:, stop:] -= errors @ factor[start:stop, stop:]
    return result[:, torch.argsort(order)]


def _inverse_factor(moments, damping):
    """Upper Cholesky factor of the inverse; inputs that are always zero stand alone."""
    damped = moments.clone()
    diagonal = damped.diagonal()
    # An input that is always 0 has a row of zeros; 1 on its diagonal makes it independent of all
    # others.
    diagonal.add_(torch.where(diagonal == 0, 1.0, damping * diagonal.mean()))
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
    return torch.linalg.cholesky(inverse, upper=True)
