"""How much each layer loses at each number of weight bits, and the best use of a mean of bits."""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hw.spec.isa.codes import BITS, LEAST_BITS, MOST_BITS
from qnn.errors import ModelError
from qnn.nn.layers import QuantConv
from qnn.nn.learn import folded_copy, learnable
from qnn.nn.model import QuantizedModel
from qnn.nn.scales import set_exponents
from qnn.ptq.data import as_images
from qnn.quant import pow2

# Every layer is tried at four widths, each a pass over all that lies behind it.
# Every layer is tried at four widths: 128 images keep that to some four passes a layer.
IMAGES, CHUNK = 128, 64  # that measure; at a time
# A table of so many float64 takes 1 MiB a layer and width.
# A table of so many float64 takes 1 MiB a layer and width, and an update well below a millisecond.
MOST_STEPS = 1 << 17  # of the budget; networks with more codes are counted in larger units

Losses = Mapping[str, Mapping[int, float]]  # by layer and bits


@dataclass(frozen=True)
class Fit:
    """The bits that a budget gives each layer.

    Members
    -------
    bits : by layer
    losses : by layer and bits, what ``sensitivity`` measured
    sizes : codes by layer
    """

    bits: dict[str, int]
    losses: Losses
    sizes: dict[str, int]

    @property
    def mean_bits(self) -> float:
        """The mean of the bits over all codes."""
        return sum(self.sizes[n] * b for n, b in self.bits.items()) / sum(self.sizes.values())


@dataclass(frozen=True)
class Budget:
    """Bits per layer with the least loss whose mean over all weight codes is ``mean_bits`` or less.

    Members
    -------
    mean_bits : within ``hw.spec.isa.codes.BITS``
    report : is told what was measured and chosen
    """

    mean_bits: float
    report: Callable[[Fit], None] | None = None

    def __post_init__(self):
        least, most = LEAST_BITS, MOST_BITS
        if not least <= self.mean_bits <= most:
            raise ValueError(f"Budget needs mean_bits from {least} to {most}, not {self.mean_bits}")

    def choose(
        self, quantized: QuantizedModel, images: Tensor | tuple[Tensor, ...]
    ) -> dict[str, int]:
        """Bits of each layer that learns; the arguments are those of ``sensitivity``.

        Raises
        ------
        ModelError
            No layer learns.
        """
        losses = sensitivity(quantized, images)
        if not losses:
            raise ModelError(
                "Budget needs a layer whose weights are learned, but the network has none; give "
                "weight_bits as a number"
            )
        sizes = {name: conv.weight.numel() * conv.plan.terms for name, conv in learnable(quantized)}
        fit = Fit(choose_bits(losses, sizes, self.mean_bits), losses, sizes)
        if self.report is not None:
            self.report(fit)
        return fit.bits


@torch.no_grad()
def sensitivity(
    quantized: QuantizedModel, images: Tensor | tuple[Tensor, ...]
) -> dict[str, dict[int, float]]:
    """The loss of each layer at 2, 3, 4 and 5 bits: how far the answers move when it alone rounds.

    Answers are compared with those of the same network whose weights are not rounded and whose
    activations are: so what is measured is the rounding of weights alone, and 0 without it. The
    loss is KL(p || q) of the softmax over classes, averaged over images; of an output with one
    class, the squared error over the square of what is wanted. Several outputs add up.

    Parameters
    ----------
    quantized : of any weight bits, its weights not yet replaced by a rounding method
    images : (count, ...) what the float model takes, of each input; the first ``IMAGES`` count

    Returns
    -------
    Losses by layer, of those that learn, and by bits
    """
    free = folded_copy(quantized)
    trials = {name: _trials(conv) for name, conv in learnable(quantized)}
    losses = {name: dict.fromkeys(found, 0.0) for name, found in trials.items()}
    given = images if isinstance(images, tuple) else (images,)
    images = tuple(as_images(each[:IMAGES]) for each in given)
    for part in zip(*(each.split(CHUNK) for each in images), strict=True):
        wanted = _tensors(free, part)
        share = len(part[0]) / len(images[0])
        for name, weights in trials.items():
            for bits, weight in weights.items():
                got = _with_weight(free, wanted, name, weight)
                losses[name][bits] += share * _loss(free, wanted, got)
    return losses


def choose_bits(losses: Losses, sizes: Mapping[str, int], mean_bits: float) -> dict[str, int]:
    """Bits of each layer with the least sum of losses under a mean of bits.

    Exact, by dynamic programming over the bits that are spent, as long as those are at most
    ``MOST_STEPS`` times what divides all sizes; beyond, spending is rounded up to such a share of
    the budget. Of equal sums, fewer bits win.

    Parameters
    ----------
    losses : by layer and bits
    sizes : codes by layer
    mean_bits : over all codes, at most

    Raises
    ------
    ValueError
        The least bits of every layer together are more than the budget.
    """
    least = {name: min(found) for name, found in losses.items()}
    room = math.floor(
        # The factor forgives a mean like 2.8, which no binary number is.
        sum(sizes[name] * (mean_bits - bits) for name, bits in least.items()) * (1 + 1e-12)
    )
    if room < 0:
        raise ValueError(
            f"choose_bits needs mean_bits of at least the fewest that layers may have, not "
            f"{mean_bits}"
        )
    dearest = {name: min(found, key=lambda b, f=found: (f[b], b)) for name, found in losses.items()}
    if sum(sizes[name] * (bits - least[name]) for name, bits in dearest.items()) <= room:
        return dearest  # rounded spending could leave a layer out
    unit = max(math.gcd(*sizes.values()), -(-room // MOST_STEPS))
    best, picks = np.zeros(room // unit + 1), []
    for name, found in losses.items():
        options = sorted(found)
        # Rounded up: the budget is never exceeded, whatever the unit.
        steps = [-(-(bits - options[0]) * sizes[name] // unit) for bits in options]
        table = np.stack(
            [_delayed(best + found[b], s) for b, s in zip(options, steps, strict=True)]
        )
        chosen = table.argmin(0)
        best = table.min(0)
        picks.append((name, options, steps, chosen))
    # Backwards through the tables, from the whole budget: each says what its layer took.
    place, result = len(best) - 1, {}
    for name, options, steps, chosen in reversed(picks):
        result[name] = options[chosen[place]]
        place -= steps[chosen[place]]
    return {name: result[name] for name in losses}


def _delayed(values, steps):
    """``values`` for a budget that is ``steps`` smaller."""
    kept = values[: max(len(values) - steps, 0)]
    return np.concatenate([np.full(len(values) - len(kept), np.inf), kept])


def _trials(conv: QuantConv) -> dict[int, Tensor]:
    """The layer's rounded weights by bits, with exponents as ``quantize`` chooses them."""
    found = {}
    for bits in BITS:
        trial = copy.deepcopy(conv)
        trial.plan = replace(conv.plan, weight_bits=bits)
        set_exponents(trial)
        found[bits] = pow2.values(trial.indices(), trial.weight_exponent, bits).float()
    return found


def _tensors(free, images):
    values = {s.plan.name: s(x) for s, x in zip(free.inputs, images, strict=True)}
    for layer in free.plan.layers[len(images) :]:
        values[layer.name] = free.layer(layer.name)(*(values[n] for n in layer.inputs))
    return values


def _with_weight(free, wanted, name, weight):
    """What tensors become when one layer has another weight: those that change."""
    conv = free.layer(name)
    kept = conv.weight.detach().clone()
    conv.weight.copy_(weight)
    changed = {}
    for layer in free.plan.layers:
        # Only what lies behind the layer is computed again.
        if layer.name == name or not changed.keys().isdisjoint(layer.inputs):
            operands = [changed.get(n, wanted[n]) for n in layer.inputs]
            changed[layer.name] = free.layer(layer.name)(*operands)
    conv.weight.copy_(kept)
    return changed


def _loss(free, wanted, got) -> float:
    total = 0.0
    for name, _ in free.plan.outputs:
        if name in got:
            scale = free.type(name).scale
            total += float(_divergence(wanted[name] * scale, got[name] * scale))
    return total


def _divergence(wanted, got):
    """The divergence of outputs (batch, classes, height, width) from the teacher's."""
    if wanted.shape[1] == 1:
        least = torch.finfo(torch.float32).tiny
        return (got - wanted).square().sum() / wanted.square().sum().clamp(min=least)
    p, q = (F.log_softmax(logits.double(), 1) for logits in (wanted, got))
    return (p.exp() * (p - q)).sum(1).mean()
