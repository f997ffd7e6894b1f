"""How much each layer loses with each number of terms, and the best use of a mean of terms."""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from qnn.errors import ModelError
from qnn.ir.shape import order_of
from qnn.nn.layers import QuantConv
from qnn.nn.learn import folded_copy, learnable
from qnn.nn.model import QuantizedModel
from qnn.nn.plan import Plan
from qnn.nn.scales import set_exponents
from qnn.ptq.data import as_images, sample
from qnn.ptq.plans import CLOSE_TERMS
from qnn.quant import pow2
from qnn.quant.term_budget import Losses, choose_terms
from qnn.tasks.kinds import TaskKind, find_task
from qnn.tasks.losses import TaskLoss, spread

# Every layer is tried with four terms or seven: 128 images keep that to some passes per layer.
IMAGES, CHUNK = 128, 64  # that measure; at a time, at most
# Of all tensors of a network at a time, 512 MiB in float32, and as much again of those that change.
VALUES = 1 << 27
FEWEST = 8  # images at a time, in whose spread squared errors of values are measured
# By layers that change: weights, and a bias where it is not the layer's own.
Trial = dict[str, tuple[Tensor, Tensor | None]]
Trials = Mapping[str, Mapping[int, Trial]]  # by the layer that is rounded, and its terms


@dataclass(frozen=True)
class Fit:
    """The terms that a budget gives each layer.

    Members
    -------
    terms : by layer
    losses : by layer and terms, what ``sensitivity`` measured
    products : of an image, by layer
    """

    terms: dict[str, int]
    losses: Losses
    products: dict[str, int]

    @property
    def mean_terms(self) -> float:
        """The mean of the terms over all products."""
        spent = sum(self.products[name] * terms for name, terms in self.terms.items())
        return spent / sum(self.products.values())


@dataclass(frozen=True)
class Budget:
    """Terms per layer with the least loss whose mean over all products is ``mean_terms`` or less.

    Each term of a product takes a lane of the array for a step, so that this mean is what the
    network's steps are multiplied by.

    Members
    -------
    mean_terms : within ``qnn.quant.pow2.TERMS``
    report : is told what was measured and chosen
    """

    mean_terms: float
    report: Callable[[Fit], None] | None = None

    def __post_init__(self):
        least, most = pow2.TERMS[0], pow2.TERMS[-1]
        if not least <= self.mean_terms <= most:
            raise ValueError(
                f"Budget needs mean_terms from {least} to {most}, not {self.mean_terms}"
            )

    def choose(
        self,
        quantized: QuantizedModel,
        images: Tensor | tuple[Tensor, ...],
        kinds: Sequence[TaskKind] = (),
    ) -> dict[str, int]:
        """Terms of each layer that learns; the arguments are those of ``sensitivity``.

        Raises
        ------
        ModelError
            No layer learns.
        """
        losses = sensitivity(quantized, images, kinds)
        if not losses:
            raise ModelError(
                "Budget needs a layer whose weights are learned, but the network has none; give "
                "terms as a number"
            )
        products = {name: conv.plan.products for name, conv in learnable(quantized)}
        fit = Fit(choose_terms(losses, products, self.mean_terms), losses, products)
        if self.report is not None:
            self.report(fit)
        return fit.terms


@torch.no_grad()
def sensitivity(
    quantized: QuantizedModel,
    images: Tensor | tuple[Tensor, ...],
    kinds: Sequence[TaskKind] = (),
    trials: Trials | None = None,
) -> dict[str, dict[int, float]]:
    """The loss of each layer with each number of terms: how far answers move when it alone rounds.

    Answers are compared with those of the same network whose weights are not rounded and whose
    activations are: so what is measured is the rounding of weights alone, and 0 without it. Terms
    are tried up to those that bring any weight close, 4, and 7 of 2-bit codes. The loss is that
    of the task: KL(p || q) of the softmax over classes, averaged over images, and the squared
    error over the variance of values. Several outputs add up.

    Parameters
    ----------
    quantized : of any terms, its weights not yet replaced by a rounding method
    images : (count, ...) what the float model takes, of each input; ``IMAGES`` of them count
    kinds : what each output is for; none: as far as its shape tells
    trials : rounded weights and biases of each layer, by terms, and those of others that then
        change too; None: the nearest weights

    Returns
    -------
    Losses by layer, of those that learn, and by terms
    """
    free = folded_copy(quantized)
    if trials is None:
        trials = {name: _trials(name, conv) for name, conv in learnable(quantized)}
    losses = {name: dict.fromkeys(found, 0.0) for name, found in trials.items()}
    given = images if isinstance(images, tuple) else (images,)
    images = tuple(as_images(each) for each in sample(given, IMAGES))
    size = min(CHUNK, max(FEWEST, images_within(VALUES, quantized.plan)))
    for part in zip(*(each.split(size) for each in images), strict=True):
        wanted = _tensors(free, part)
        share = len(part[0]) / len(images[0])
        for name, tried in trials.items():
            for terms, trial in tried.items():
                got = _with_weights(free, wanted, trial)
                losses[name][terms] += share * _loss(free, wanted, got, kinds)
    return losses


def images_within(values: int, plan: Plan) -> int:
    """Of how many images all tensors of a network together have so many values."""
    return values // sum(math.prod(layer.shape) for layer in plan.layers)


def _trials(name: str, conv: QuantConv) -> dict[int, Trial]:
    """The layer's nearest weights by terms, with exponents as ``quantize`` chooses them."""
    found, bits = {}, conv.plan.weight_bits
    for terms in range(1, CLOSE_TERMS[bits] + 1):
        trial = with_terms(conv, terms)
        weight = pow2.values(trial.indices(), trial.weight_exponent, bits).float()
        found[terms] = {name: (weight, None)}
    return found


def with_terms(conv: QuantConv, terms: int) -> QuantConv:
    """A copy of a layer whose weights have so many terms, with exponents of their own."""
    trial = copy.deepcopy(conv)
    trial.plan = replace(conv.plan, terms=terms, channel_terms=None)
    set_exponents(trial)
    return trial


def _tensors(free, images):
    values = {s.plan.name: s(x) for s, x in zip(free.inputs, images, strict=True)}
    for layer in free.plan.layers[len(images) :]:
        values[layer.name] = free.layer(layer.name)(*(values[n] for n in layer.inputs))
    return values


def _with_weights(free, wanted, trial):
    """What tensors become when some layers have other weights: those that change."""
    kept = {name: copy.deepcopy(free.layer(name).state_dict()) for name in trial}
    for name, (weight, bias) in trial.items():
        conv = free.layer(name)
        conv.weight.copy_(weight)
        if bias is not None:
            conv.bias.copy_(bias)
    changed = {}
    for layer in free.plan.layers:
        # Only what lies behind the layers is computed again.
        if layer.name in trial or not changed.keys().isdisjoint(layer.inputs):
            operands = [changed.get(n, wanted[n]) for n in layer.inputs]
            changed[layer.name] = free.layer(layer.name)(*operands)
    for name, state in kept.items():
        free.layer(name).load_state_dict(state)
    return changed


def _loss(free, wanted, got, kinds) -> float:
    total = 0.0
    kinds = kinds or [find_task(output.shape) for output in free.plan.given]
    for (name, _), kind in zip(free.plan.outputs, _kinds_of_outputs(free.plan, kinds), strict=True):
        if name in got:
            scale = free.type(name).scale
            total += float(divergence(wanted[name] * scale, got[name] * scale, kind))
    return total


def _kinds_of_outputs(plan, kinds) -> list[TaskKind]:
    """The task of the user's tensor that each output is scores of, or a part of them.

    What the host decodes is values.
    """
    numbers = range(len(kinds)) if plan.host is None else plan.host.scores
    known, found, number = dict(zip(numbers, kinds, strict=True)), [], 0
    for *_, axes in plan.results:
        found.append(known.get(number, TaskKind.REGRESSION))
        order = order_of(axes)
        # One that the next output continues ends no tensor.
        number += order is None or order.join is None
    return found


def divergence(wanted: Tensor, got: Tensor, kind: TaskKind) -> Tensor:
    """How far outputs (batch, classes, height, width) are from the wanted ones, on average.

    KL of the softmax over classes; of what is none, the loss of its task ``kind``, such as the
    squared error over the variance of what is wanted.
    """
    return TaskLoss(kind, spread(wanted)).of_answers(got.double(), wanted.double())
