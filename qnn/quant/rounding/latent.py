"""Weights behind those of the grid learn, from unlabelled data, to keep the network's answers.

Of a language model they may learn its text, too.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from qnn.quant import pow2
from qnn.quant.estimators.straight_through import ClippedStraightThrough
from qnn.quant.rounding.adam import Adam
from qnn.quant.rounding.checkpoint import Checkpoint, identity, keeping
from qnn.quant.rounding.distillation import LOSSES, PRECISIONS, distance_at
from qnn.quant.rounding.flat import flat, split
from qnn.quant.rounding.lessons import Lessons
from qnn.quant.rounding.next_tokens import with_next_tokens
from qnn.quant.rounding.options import one_of, positive, within
from qnn.quant.rounding.problem import Problem, Progress, Rounded
from qnn.quant.rounding.tuned import Tuned


@dataclass(frozen=True)
class Latent:
    """Options of ``latent``.

    Members
    -------
    steps, batch, seed : of the learning
    rate, warm_up : of Adam on weights, in units of the greatest value of their row's first term;
        steps of linear rise, behind which the rate falls to 0 as a cosine does
    terms_rate : of rows of two terms or more, in units of ``rate``. Their values lie close, so that
        they can make up at once for the rows of one term, whose every move is a large one
    tuned_rate : of Adam on the parameters that may be learnt beside the weights, in units of what
        their channels give; 0: they stay
    loss, temperature : of the outputs: "task" for what suits them, "kl" or "squared"; what logits
        are divided by
    inner_weight : of the relative squared error of results inside the network
    next_share : of a language model's answers, what the token that follows has in them; the rest is
        the teacher's. 0: the teacher alone
    precision : in which the rounded network runs, "float32" or "bf16"
    """

    steps: int = 1000
    batch: int = 16
    seed: int = 0
    rate: float = 2e-3
    warm_up: int = 20
    terms_rate: float = 1.0
    tuned_rate: float = 2e-3
    loss: str = "task"
    temperature: float = 1.0
    inner_weight: float = 0.0
    next_share: float = 0.0
    precision: str = "float32"

    def __post_init__(self):
        positive("latent", self, "steps", "batch", "rate", "terms_rate", "temperature")
        within("latent", self, 0, math.inf, "seed", "warm_up", "tuned_rate", "inner_weight")
        within("latent", self, 0, 1, "next_share")
        one_of("latent", self, loss=LOSSES, precision=PRECISIONS)
        if self.next_share:
            # Of a text chances are known alone, and no logits.
            one_of("latent with next_share", self, loss=("task", "kl"))
            if self.temperature != 1:
                raise ValueError(
                    f"latent with next_share needs a temperature of 1, not {self.temperature}"
                )


def latent(
    problem: Problem,
    options: Latent,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> Rounded:
    """Round each weight to the value nearest to what is learnt in its place.

    The network runs with the nearest values of the grid, in every step, and the gradient of its
    distance from the teacher's answers goes straight through the rounding to the weights behind
    them, as far as the grid reaches. Unlike DiscQuant's a weight may pass any number of values, and
    those of one row make up for each other's rounding from the first step on. The same on every
    run with the same options.

    Raises
    ------
    ModelError
        There is no data, the loss is not finite, the checkpoint is another run's, or with
        ``next_share`` the data are no tokens, or the answers no logits of the next ones.
    Interrupted
        A signal asked the run to stop, and its state is in the checkpoint.

    Source
    ------
    Liu et al., "LLM-QAT: Data-Free Quantization Aware Training for Large Language Models",
    arXiv:2305.17888, whose loss is that of the teacher's distribution for every token; the gradient
    is that of ``qnn.quant.estimators.straight_through``.
    """
    owner = identity("latent", problem, options) if checkpoint else {}
    kept = checkpoint.load(owner) if checkpoint else None
    with keeping(checkpoint, owner) as keeper:
        run = _Learning(problem, options)
        if kept is not None:
            run.restore(kept)
        while run.step < options.steps:
            run.advance()
            text = f"{run.step} of {options.steps} steps"
            keeper.after(run.step, text, run.tensors, due=run.step == options.steps)
            if progress is not None:
                # Every forward pass sees rounded weights alone: there is no share that is not.
                progress(run.step, options.steps, 1.0)
    return run.result()


@dataclass(eq=False)
class _Learning:
    """Weights that learn."""

    problem: Problem
    options: Latent
    step: int = 0
    w: Adam = field(init=False)  # all weights, in the units of their rows
    tuned: Tuned = field(init=False)

    def __post_init__(self):
        problem, options = self.problem, self.options
        inner = tuple(problem.scales) if options.inner_weight else ()
        self.lessons = Lessons(problem, options.batch, options.seed, options.steps, inner)
        layers = problem.layers
        self.estimators = {n: ClippedStraightThrough(x.bits, x.terms) for n, x in layers.items()}
        # On the CPU, where grids are; units that are powers of two scale without rounding.
        self.units = {n: self._unit(x).float() for n, x in layers.items()}
        scaled = [layer.w.detach().float().cpu() / self.units[n] for n, layer in layers.items()]
        self.w = Adam.of(flat(scaled, problem.device))
        self.units = {n: unit.to(problem.device) for n, unit in self.units.items()}
        self.exponents = {n: x.exponent.to(problem.device) for n, x in layers.items()}
        self.tuned = Tuned.of(problem, learns=options.tuned_rate > 0)

    def _unit(self, layer):
        """What a weight of each row is counted in: Adam moves all of them by as many units."""
        terms, rows = layer.terms, len(layer.w)
        several = torch.tensor([terms] * rows if isinstance(terms, int) else terms) > 1
        pace = torch.where(several, self.options.terms_rate, 1.0)
        return _per_row(pow2.exp2(layer.exponent) * pace, layer.w)

    def advance(self) -> None:
        """One step of Adam on the distance of this step's batch."""
        options = self.options
        by_weights, by_tuned = self._gradients()
        progress = self.step / options.steps
        faded = (0.5 + 0.5 * math.cos(math.pi * progress)) * min(
            1.0, (self.step + 1) / max(1, options.warm_up)
        )
        self.w.step(by_weights, options.rate * faded)
        if self.tuned.before:
            self.tuned.adam.step(by_tuned, options.tuned_rate * faded)
        self.step += 1

    @torch.enable_grad()
    def _gradients(self) -> tuple[Tensor, Tensor]:
        both = self.w, self.tuned.adam
        w, tuned = (each.value.detach().requires_grad_() for each in both)
        behind = self._weights(w)
        weights = {n: self.estimators[n](x, self.exponents[n]) for n, x in behind.items()}
        given, (x, wanted) = weights | self.tuned.parameters(tuned), self.lessons(self.step)
        if self.options.next_share:
            wanted = with_next_tokens("latent", x, wanted, self.options.next_share)
        loss = distance_at(self.step, "latent", self.problem, given, (x, wanted), self.options)
        # Without a parameter to tune its vector is empty, and nothing depends on it.
        by_weights, by_tuned = torch.autograd.grad(loss, (w, tuned), materialize_grads=True)
        return by_weights, by_tuned

    def _weights(self, w: Tensor) -> dict[str, Tensor]:
        """The weights behind those of the grid, by layer."""
        parts = split(w, {name: layer.w for name, layer in self.problem.layers.items()})
        return {name: part * self.units[name] for name, part in parts.items()}

    def tensors(self) -> dict[str, Tensor]:
        """The whole state, by name."""
        step = {"step": torch.tensor(self.step)}
        return self.w.tensors("w") | self.tuned.adam.tensors("tuned") | step

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore the state that ``tensors`` gave."""
        self.w.restore("w", tensors)
        self.tuned.adam.restore("tuned", tensors)
        self.step = int(tensors["step"])

    def result(self) -> Rounded:
        layers = self.problem.layers
        found = {n: layers[n].indices(w.cpu()) for n, w in self._weights(self.w.value).items()}
        return Rounded(found, self.tuned.parameters())


def _per_row(scale, like):
    return scale.reshape(-1, *[1] * (like.dim() - 1))
