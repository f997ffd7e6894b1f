"""GPTQ: rounding column by column, each error taken up by the columns that follow."""

from dataclasses import dataclass

import torch
from torch import Tensor

from qnn.errors import ModelError
from qnn.quant.rounding.checkpoint import Checkpoint
from qnn.quant.rounding.layer import columns, inputs_of, samples
from qnn.quant.rounding.layer_by_layer import layer_by_layer
from qnn.quant.rounding.options import one_of, positive, within
from qnn.quant.rounding.problem import Problem, Progress, Rounded
from qnn.quant.rounding.quadratic import GridRows, damped, fit_sums, largest_first

TARGETS = ("own", "float")


@dataclass(frozen=True)
class Gptq:
    """Options of ``gptq``.

    Members
    -------
    samples, batch, seed : how much data the layers' second moments are taken from
    damping : added to their diagonal, as a share of its mean
    activation_order : round the columns of the largest inputs first
    targets : what a layer's sums should be: those of its own weights behind the layers that are
        rounded already, or those of the "float" network, so that it takes back what was lost before
    sweeps : of coordinate descent over a layer's weights when all of them are rounded
    """

    samples: int = 1024
    batch: int = 128
    seed: int = 0
    # The paper's 1 %.
    damping: float = 0.01
    activation_order: bool = True
    targets: str = "own"
    sweeps: int = 0

    def __post_init__(self):
        positive("gptq", self, "samples", "batch", "damping")
        within("gptq", self, 0, float("inf"), "seed", "sweeps")
        one_of("gptq", self, targets=TARGETS)


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
    original = {name: layer.w.float().to(problem.device) for name, layer in problem.layers.items()}

    def round_layer(owner, _place, given, _begun, keep):
        layer = problem.layers[owner.name]
        # Before the first rounded layer the two networks are one.
        apart = options.targets == "float" and bool(given)
        networks = (original | given, original) if apart else (given,)
        second, *cross = _mean_products(problem, owner, networks, batches, keep)
        rows = GridRows.of(
            layer.w.cpu(), layer.exponent.cpu(), len(second), layer.bits, layer.terms
        )
        held = damped(second, options.damping)
        missing = rows.w @ (cross[0] - second) if apart else None
        order = largest_first(held) if options.activation_order else None
        found = fit_sums(rows, held, missing, options.sweeps, order)
        return layer.indices(found.reshape(layer.w.shape))

    return layer_by_layer("gptq", problem, options, round_layer, progress, checkpoint)


def _mean_products(problem, owner, networks, batches, keep) -> list[Tensor]:
    """Means of 2 y x^T over all sums, (groups, weights of a sum, same) float64 for each network.

    y is what a sum reads in that network, and x in the first one, each given by its weights.
    """
    totals: list[Tensor] = []
    count = 0
    for batch in batches:
        read: list[Tensor] = []

        def take(operands, read=read):
            x = columns(owner.module, operands[0], owner.name, "gptq")
            read.append(x.movedim(1, 0).float())

        for given in networks:
            inputs_of(owner, problem, given, [batch], take)
        x = read[0]
        # Products in float32, sums of batches in float64: the Cholesky factor needs the digits.
        products = [(y.transpose(1, 2) @ x).double().cpu() for y in read]
        totals = [a + b for a, b in zip(totals, products, strict=True)] if totals else products
        count += x.shape[1]
        # A layer is begun again: there is nothing to keep of it, but the run may stop here.
        keep(0, dict)
    if not all(bool(torch.isfinite(total).all()) for total in totals):
        raise ModelError(
            f"gptq needs finite inputs, but those of '{owner.name}' hold NaN or infinity; check "
            f"the data"
        )
    return [total * (2 / count) for total in totals]
