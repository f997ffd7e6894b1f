"""What each row of a module's weights loses in a grid, in the task's own loss."""

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from qnn.quant.rounding.distillation import drawn_slope
from qnn.quant.rounding.quadratic import GridRows, damped, descend
from qnn.quant.rounding.sampling import generator
from qnn.quant.search_exponent import search_exponent
from qnn.tasks.kinds import TaskKind, find_task
from qnn.tasks.losses import classes_first, spread
from qnn.tasks.structures import tensors_of

SAMPLES = 512  # whose gradients measure, one by one
SWEEPS = 3  # of a row's weights, which make up for each other; further ones hardly move any
DAMPING = 0.01  # of the mean curvature, as GPTQ has it
# In float32, 256 MiB.
MOST_VALUES = 1 << 26  # of the curvature of all rows together, and of gradients at a time
CHUNK = 64  # samples whose gradients are summed up together, at most


def row_losses(
    module: nn.Module,
    names: Sequence[str],
    data: Tensor,
    tried: Sequence[int],
    weight_bits: int = 3,
    *,
    kinds: Sequence[TaskKind] = (),
    seed: int = 0,
    sweeps: int = SWEEPS,
) -> dict[str, dict[int, Tensor]]:
    """What each row loses, rounded alone, (rows,) float64 by weight and terms.

    It is the second-order part of the task's loss against the module's own answers, which has no
    first-order one: half of ``d F d`` of a row's change ``d``, with the Gauss-Newton matrix F of
    sampled gradients, one sample at a time. The weights of a row make up for each other's rounding,
    as they do where rounding is learnt: what they lose together at the nearest values says less of
    that. All rows are measured together, in one pass over the data.

    Parameters
    ----------
    sweeps : of coordinate descent from the nearest values on; 0: they are measured themselves

    Source
    ------
    Martens, "New Insights and Perspectives on the Natural Gradient Method", arXiv:1412.1193: F is
    the Fisher matrix of the network's own distribution.
    """
    network = copy.deepcopy(module).eval().requires_grad_(False)
    curvature = _curvature(network, names, data, kinds, seed)
    losses = {}
    for name in names:
        weight = network.get_parameter(name).detach().cpu()  # grids live there
        moments = curvature.pop(name).cpu().double()
        losses[name] = {k: _lost(weight, moments, weight_bits, k, sweeps) for k in tried}
    return losses


def _curvature(network, names, data, kinds, seed) -> dict[str, Tensor]:
    """F of blocks of each row's columns, (rows * blocks, columns, columns), by weight."""
    named = dict(network.named_parameters(remove_duplicate=False))
    weights = {name: named[name].detach().clone().requires_grad_() for name in names}
    order = torch.randperm(len(data), generator=generator(seed, "terms", 0))[:SAMPLES]
    drawn = data[order].to(next(iter(weights.values())).device)
    room = max(1, MOST_VALUES // sum(weight.numel() for weight in weights.values()))
    # So many columns that there are twice as many samples: of fewer, F has directions of its own.
    most = min(room, max(1, len(drawn) // 2))
    found, held = {}, {name: [] for name in names}
    for number, gradients in enumerate(_gradients(network, weights, drawn, kinds, seed), 1):
        for name, gradient in zip(names, gradients, strict=True):
            held[name].append(_blocks(gradient, most))
        if number % min(room, CHUNK) and number < len(drawn):
            continue
        for name, parts in held.items():
            each = torch.stack(parts, 1)
            # Divided first, so that sums of any number of samples stay in float32's range.
            added = (each / len(drawn)).mT @ each
            found[name] = found[name].add_(added) if name in found else added
            parts.clear()
    return found


def _gradients(network, weights, drawn, kinds, seed):
    """A random gradient by all weights for each sample, whose covariance is F."""
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
        yield torch.autograd.grad(outputs, list(weights.values()), slopes, materialize_grads=True)


def _lost(weight, moments, bits, terms, sweeps) -> Tensor:
    exponent = search_exponent(weight, bits, terms)
    w = _blocks(weight, moments.shape[2])
    exponents = exponent.repeat_interleave(len(w) // len(weight))
    rows = GridRows.of(w, exponents, len(w), bits, terms)
    values = descend(rows, damped(moments, DAMPING), rows.nearest(rows.w), sweeps)
    change = values - rows.w
    lost = ((change @ moments) * change).sum((1, 2)) / 2
    return lost.view(len(weight), -1).sum(1)


def _blocks(value, most) -> Tensor:
    """Rows in equal blocks of at most so many columns, zeros behind the last: (blocks, columns)."""
    flat = value.flatten(1)
    count = -(-flat.shape[1] // most)
    width = -(-flat.shape[1] // count)
    return F.pad(flat, (0, count * width - flat.shape[1])).reshape(-1, width)
