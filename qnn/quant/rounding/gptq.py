"""GPTQ: rounding column by column, each error taken up by the columns that follow."""

from dataclasses import dataclass

import torch
from torch import Tensor

from qnn.errors import ModelError
from qnn.quant.rounding.checkpoint import Checkpoint
from qnn.quant.rounding.layer import columns, inputs_of, samples
from qnn.quant.rounding.layer_by_layer import layer_by_layer
from qnn.quant.rounding.options import positive, within
from qnn.quant.rounding.problem import Problem, Progress, Rounded
from qnn.quant.rounding.quadratic import GridRows, damped, round_columns


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
        rows = GridRows.of(
            layer.w.cpu(), layer.exponent.cpu(), len(moments), layer.bits, layer.terms
        )
        found = round_columns(
            rows, damped(moments, options.damping), largest_first=options.activation_order
        )
        return layer.indices(found.reshape(layer.w.shape))

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
