"""Terms for the rows of any module's weights: more where rounding costs more, a mean of them."""

import copy
import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from qnn.errors import ModelError
from qnn.quant import pow2
from qnn.quant.rounding.distillation import drawn_slope
from qnn.quant.rounding.sampling import generator
from qnn.quant.search_exponent import search_exponent
from qnn.quant.term_budget import choose_terms
from qnn.tasks.kinds import TaskKind, find_task
from qnn.tasks.losses import classes_first, spread
from qnn.tasks.structures import tensors_of

SAMPLES = 128  # whose gradients measure, one by one
# Rows are alike enough that finer parts gain nothing, and a budget over them takes a second.
PARTS = 16  # of a weight, by what its rows lose, that get one number of terms each
MORE = 2  # terms beyond the fewest, from where on rounding costs next to nothing


def choose_module_terms(
    module: nn.Module,
    names: Sequence[str],
    data: Tensor,
    mean_terms: float,
    weight_bits: int = 3,
    *,
    kinds: Sequence[TaskKind] = (),
    seed: int = 0,
) -> dict[str, tuple[int, ...]]:
    """Terms of each row of the named weights, at most ``mean_terms`` on average over all weights.

    Parameters
    ----------
    names : of parameters of two dimensions or more, as ``round_module`` takes them
    data : (count, ...) what ``module`` takes; ``SAMPLES`` of them count
    kinds : what each output is for; none: as far as its shape tells

    Raises
    ------
    ModelError
        There is no data or no name, or a name is no weight's.
    ValueError
        No weights have such a mean of terms.
    """
    least, most = pow2.TERMS[0], pow2.TERMS[-1]
    if not least <= mean_terms <= most:
        raise ValueError(
            f"choose_module_terms needs mean_terms from {least} to {most}, not {mean_terms}"
        )
    if not len(names) or not len(data):
        raise ModelError(
            f"choose_module_terms needs names and data, but got {len(names)} names and "
            f"{len(data)} samples"
        )
    known = dict(module.named_parameters(remove_duplicate=False))
    for name in names:
        if name not in known or known[name].dim() < 2:
            what = "no parameter" if name not in known else f"of shape {tuple(known[name].shape)}"
            raise ModelError(
                f"choose_module_terms needs names of parameters of two dimensions or more, but "
                f"'{name}' is {what}; take names of named_parameters()"
            )
    first = math.floor(mean_terms)
    tried = range(first, min(first + MORE, most) + 1)
    losses = row_losses(module, names, data, tried, weight_bits, kinds=kinds, seed=seed)
    parts = {name: _parts(found) for name, found in losses.items()}
    weights = dict(module.named_parameters(remove_duplicate=False))
    by_part, products = {}, {}
    for name, rows in parts.items():
        for number, part in enumerate(rows):
            by_part[name, number] = {k: float(losses[name][k][part].sum()) for k in tried}
            products[name, number] = len(part) * weights[name][0].numel()
    chosen = choose_terms(by_part, products, mean_terms)
    terms = {}
    for name, rows in parts.items():
        whole = torch.empty(len(weights[name]), dtype=torch.int64)
        for number, part in enumerate(rows):
            whole[part] = chosen[name, number]
        terms[name] = tuple(whole.tolist())
    return terms


def row_losses(
    module: nn.Module,
    names: Sequence[str],
    data: Tensor,
    tried: Sequence[int],
    weight_bits: int = 3,
    *,
    kinds: Sequence[TaskKind] = (),
    seed: int = 0,
) -> dict[str, dict[int, Tensor]]:
    """What each row loses, rounded alone to nearest, (rows,) float64 by weight and terms.

    It is the second-order part of the task's loss against the module's own answers, which has no
    first-order one: half of ``d F d`` of a row's change ``d``, with the Gauss-Newton matrix F of
    sampled gradients, one sample at a time. All rows are measured together, in one pass over the
    data.

    Source
    ------
    Martens, "New Insights and Perspectives on the Natural Gradient Method", arXiv:1412.1193: F is
    the Fisher matrix of the network's own distribution.
    """
    network = copy.deepcopy(module).eval().requires_grad_(False)
    named = dict(network.named_parameters(remove_duplicate=False))
    weights = {name: named[name].detach().clone().requires_grad_() for name in names}
    changes = {name: _changes(named[name], tried, weight_bits) for name in names}
    losses = {n: {k: torch.zeros(len(w)).double() for k in tried} for n, w in weights.items()}
    order = torch.randperm(len(data), generator=generator(seed, "terms", 0))[:SAMPLES]
    device = next(iter(weights.values())).device
    drawn = data[order].to(device)
    turn = nn.Identity() if kinds else classes_first
    with torch.no_grad():
        answers = [turn(output) for output in tensors_of(network(drawn))]
    kinds = kinds or [find_task(answer.shape[1:]) for answer in answers]
    units = [spread(answer) for answer in answers]
    for number in range(len(drawn)):
        with torch.enable_grad():
            given = functional_call(network, weights, (drawn[number : number + 1],), strict=False)
            outputs = [turn(output) for output in tensors_of(given)]
        draws = generator(seed, "slope", number)
        slopes = [
            drawn_slope(kind, output, unit, draws).to(output)
            for kind, output, unit in zip(kinds, outputs, units, strict=True)
        ]
        # Of a weight that nothing is computed with, 0.
        gradients = torch.autograd.grad(
            outputs, list(weights.values()), slopes, materialize_grads=True
        )
        for name, gradient in zip(names, gradients, strict=True):
            for terms, change in changes[name].items():
                by_row = (gradient * change).flatten(1).sum(1).double().cpu()
                losses[name][terms] += by_row.square() / (2 * len(drawn))
    return losses


def _changes(weight, tried, bits) -> Mapping[int, Tensor]:
    """What rounding to nearest does to a weight, by terms."""
    held = weight.detach().cpu()  # grids live there, wherever the network is
    return {
        k: (pow2.snap(held, search_exponent(held, bits, k), bits, k) - held).to(weight.device)
        for k in tried
    }


def _parts(losses: Mapping[int, Tensor]) -> list[Tensor]:
    """Rows of about equal losses, in at most ``PARTS`` parts of about equal size."""
    order = losses[min(losses)].argsort(descending=True, stable=True)
    return [part for part in order.tensor_split(min(PARTS, len(order))) if len(part)]
