"""AdaRound: rounding up or down that keeps each layer's results, learnt layer by layer."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from qnn.errors import ModelError
from qnn.quant.rounding.adam import Adam
from qnn.quant.rounding.checkpoint import Checkpoint
from qnn.quant.rounding.interpolation import Interpolation
from qnn.quant.rounding.layer import Owner, inputs_of, samples
from qnn.quant.rounding.layer_by_layer import Keep, layer_by_layer
from qnn.quant.rounding.options import positive, within
from qnn.quant.rounding.problem import Problem, Progress, Rounded
from qnn.quant.rounding.sampling import generator

# The paper's zeta and gamma: beyond [0, 1], so that a sigmoid reaches the ends where it still
# learns.
LOW, HIGH = -0.1, 1.1  # the rectified sigmoid's reach
# At 0 or 1 itself the clamp may pass no gradient; just inside, every weight can still move.
SHARP = 1e-4  # how near to 0 or 1 the start may be


@dataclass(frozen=True)
class AdaRound:
    """Options of ``adaround``.

    Members
    -------
    steps : of each layer
    samples, batch, seed : data that the layers' results are taken from, and how much a step sees
    rate : of Adam
    regularizer : weight of what drives each weight up or down, beside the relative squared error
        of a layer's results times their channels
    warm_up : share of the steps before it acts
    beta : from where to where its sharpness goes
    """

    steps: int = 1000
    samples: int = 1024
    batch: int = 32
    seed: int = 0
    rate: float = 0.05
    regularizer: float = 0.01
    warm_up: float = 0.2
    beta: tuple[float, float] = (20.0, 2.0)

    def __post_init__(self):
        positive("adaround", self, "steps", "samples", "batch", "rate", "regularizer")
        within("adaround", self, 0, 1, "warm_up")
        within("adaround", self, 0, math.inf, "seed")
        if len(self.beta) != 2 or not all(0 < end < math.inf for end in self.beta):
            raise ValueError(f"adaround needs beta as two numbers over 0, not {self.beta}")


def adaround(
    problem: Problem,
    options: AdaRound,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> Rounded:
    """Round the layers one after the other, each so that its results stay those of its weights.

    What a layer should give is what it gives with float weights behind float weights; it is
    learnt on inputs behind the layers that are rounded already. With h = clamp(1.2 sigmoid(v) -
    0.1, 0, 1) between the two neighbours of each weight, v is learnt by Adam on::

        error + regularizer * sum(1 - abs(2 h - 1)**beta)

    where error is the mean over positions of the squared error summed over channels, as a share
    of the results' mean square: so ``regularizer`` means the same in every layer, which the
    paper's, of the error itself, does not. Its authors take ten times as many steps.

    Raises
    ------
    ModelError
        There is no data, a layer runs more than once, or the checkpoint is another run's.
    Interrupted
        A signal asked the run to stop, and its state is in the checkpoint.

    Source
    ------
    Nagel et al., "Up or Down? Adaptive Rounding for Post-Training Quantization",
    arXiv:2004.10568, equations 21 to 25.
    """
    batches = samples(problem, options.samples, options.batch, options.seed)
    original = {name: layer.w.float().to(problem.device) for name, layer in problem.layers.items()}

    def round_layer(owner, place, given, begun, keep):
        layer = _Layer(problem, options, owner, place)
        layer.listen(original, original | given, batches)
        return layer.rounded(begun, keep)

    return layer_by_layer("adaround", problem, options, round_layer, progress, checkpoint)


class _Layer:
    """One layer's reconstruction."""

    def __init__(self, problem: Problem, options: AdaRound, owner: Owner, place: int):
        self.problem, self.options, self.owner, self.place = problem, options, owner, place
        only = {owner.name: problem.layers[owner.name]}
        self.space = Interpolation.of(only, problem.device)

    def listen(self, original, rounded, batches) -> None:
        """Keep the operands behind rounded layers, and what the layer should give."""
        weight = original[self.owner.name]
        # One after the other, as either may take gigabytes.
        with torch.no_grad():
            results = [self.owner.run(weight, given) for given in self._heard(original, batches)]
        self.wanted = torch.cat(results)
        behind = self._heard(rounded, batches)
        self.operands = [torch.cat(parts) for parts in zip(*behind, strict=True)]

    def _heard(self, given, batches) -> list[tuple[Tensor, ...]]:
        heard: list[tuple[Tensor, ...]] = []
        inputs_of(self.owner, self.problem, given, batches, heard.append)
        return heard

    def rounded(self, begun: Mapping[str, Tensor], keep: Keep) -> Tensor:
        """Indices of the neighbours that were learnt, from the state ``begun`` on, if any."""
        v = Adam.of(_logit(self.space.y))
        if begun:
            v.restore("v", begun)
        # A layer whose results are all 0 has no mean square to be a share of.
        least = torch.finfo(torch.float32).tiny
        unit = float(self.wanted.float().square().mean()) or least
        for step in range(v.count, self.options.steps):
            self._step(v, step, unit)
            keep(v.count, lambda: v.tensors("v"))
        h, _ = rectified(v.value)
        return self.space.indices((h >= 0.5).float())[self.owner.name]

    def _step(self, v, step, unit):
        options = self.options
        drawn = generator(options.seed, f"layer {self.place}", step)
        # Drawn on the CPU, so that a GPU sees the same samples.
        chosen = torch.randint(len(self.wanted), (options.batch,), generator=drawn)
        chosen = chosen.to(self.wanted.device)
        h, slope = rectified(v.value)
        weight = self.space.weights(h)[self.owner.name].requires_grad_()
        with torch.enable_grad():
            got = self.owner.run(weight, [operand[chosen] for operand in self.operands])
        away = got.detach().float() - self.wanted[chosen]
        if not bool(torch.isfinite(torch.linalg.vector_norm(away))):
            raise ModelError(
                f"adaround needs finite results, but those of '{self.owner.name}' are NaN or "
                f"infinite; check the data"
            )
        # The gradient of the error, and then the chain rule through w = down + h gap and through h.
        # By hand: recorded, these passes cost more than a small layer's convolution.
        away *= 2 * self._channels() / (unit * away.numel())
        (by_weight,) = torch.autograd.grad(got, weight, away.to(got.dtype))
        by_h = by_weight.flatten() * self.space.gap
        by_h += self._regularization(h, step)
        # A weight on the grid has equal neighbours: nothing to choose, and nothing that may drift.
        v.step(by_h.mul_(slope).mul_(self.space.free), options.rate)

    def _channels(self):
        return len(self.problem.layers[self.owner.name].w)

    def _regularization(self, h, step):
        """The gradient by h of what drives each weight up or down."""
        options = self.options
        progress = step / options.steps
        if progress < options.warm_up:
            return 0.0
        first, last = options.beta
        # Linear over the steps that are left after the warm-up.
        left = (1 - progress) / (1 - options.warm_up)
        beta = last + (first - last) * left
        return sharpening(h, beta).mul_(options.regularizer)


def sharpening(h: Tensor, beta: float) -> Tensor:
    """The gradient by h of ``sum(1 - abs(2 h - 1)**beta)``."""
    away = 2 * h - 1
    return away.abs().pow_(beta - 1).mul_(-2 * beta).mul_(away.sign())


def rectified(v: Tensor) -> tuple[Tensor, Tensor]:
    """The rectified sigmoid of each ``v``, and its slope."""
    soft = v.sigmoid()
    h = (HIGH - LOW) * soft + LOW
    inside = (h >= 0) & (h <= 1)
    return h.clamp_(0, 1), soft.mul_(1 - soft).mul_(HIGH - LOW).mul_(inside)


def _logit(y):
    """The v whose rectified sigmoid is ``y``."""
    share = (y.clamp(SHARP, 1 - SHARP) - LOW) / (HIGH - LOW)
    return (share / (1 - share)).log()
