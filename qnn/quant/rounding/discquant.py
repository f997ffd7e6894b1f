"""DiscQuant: rounding that keeps the network's answers, learnt from unlabelled data."""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from qnn.quant.rounding.adam import Adam
from qnn.quant.rounding.around import around
from qnn.quant.rounding.checkpoint import Checkpoint, identity, keeping
from qnn.quant.rounding.discquant_start import STARTS, rounded_before, start_file, start_of
from qnn.quant.rounding.distillation import LOSSES, PRECISIONS, distance_at
from qnn.quant.rounding.interpolation import Interpolation
from qnn.quant.rounding.lessons import Lessons
from qnn.quant.rounding.options import one_of, positive, within
from qnn.quant.rounding.problem import Problem, Progress, Rounded
from qnn.quant.rounding.tuned import Tuned

SCHEDULES = ("cosine", "constant")


@dataclass(frozen=True)
class DiscQuant:
    """Options of ``discquant``.

    Members
    -------
    steps, batch, seed : of the search
    rate, schedule, warm_up : of Adam on x; steps of linear rise, then the schedule
    rho, clip : the gradient of the loss is multiplied and clamped
    start : x before the first step: the original weights', uniform in [0, 1], the nearest's; or
        the values of ``gptq`` or ``adaround``, between which and the next ones towards the weights
        x then is
    start_samples, start_steps : of that other method; steps of each layer, which only ``adaround``
        takes
    gap_power : the linear term is weighted by (gap / its mean)**gap_power; 0: not weighted
    stages : equal parts of the steps; each but the first takes x at its start for y, so that what
        is not rounded yet is pulled to its nearer end, as in the rounds of Lovett and Meka
    push : strength of a pull to the nearer end of [0, 1] that grows with the steps
    loss, temperature : of the outputs: "task" for what suits them, "kl" or "squared"; what logits
        are divided by
    inner_weight : of the relative squared error of results inside the network
    precision : in which the rounded network runs, "float32" or "bf16"
    tune_bias, bias_rate : whether biases are learnt too, and the rate of their Adam, in units of
        what their channels give
    bias_steps : more steps for biases alone when every weight is rounded
    """

    steps: int = 1000
    batch: int = 64
    seed: int = 0
    rate: float = 0.03
    schedule: str = "cosine"
    warm_up: int = 0
    # For losses in units of the grid's step squared, so that one value serves every width.
    rho: float = 400.0
    clip: float = 1.0
    betas: tuple[float, float] = (0.9, 0.999)
    start: str = "gptq"
    start_samples: int = 1024
    start_steps: int = 1000
    gap_power: float = 0.0
    stages: int = 1
    push: float = 0.0
    loss: str = "task"
    temperature: float = 1.0
    inner_weight: float = 20.0
    precision: str = "float32"
    tune_bias: bool = True
    bias_rate: float = 1e-3
    bias_steps: int = 100

    def __post_init__(self):
        positive("discquant", self, "steps", "batch", "rate", "rho", "clip")
        positive("discquant", self, "bias_rate", "temperature", "start_samples", "start_steps")
        within("discquant", self, 0, math.inf, "seed", "warm_up")
        within("discquant", self, 0, 100, "gap_power", "push")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"discquant needs betas of two numbers from 0 to 1, not {self.betas}")
        within("discquant", self, 0, math.inf, "inner_weight", "bias_steps")
        within("discquant", self, 1, self.steps, "stages")
        one_of("discquant", self, start=STARTS, schedule=SCHEDULES, loss=LOSSES)
        one_of("discquant", self, precision=PRECISIONS)


def discquant(
    problem: Problem,
    options: DiscQuant,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> Rounded:
    """Round each weight down or up, together, so that the answers stay those of the teacher.

    ``x`` is where a weight lies between its neighbours, ``y`` where it lay at first. Each step is
    one of Adam, clamped to [0, 1], on::

        g = -(2 y - 1) + clamp(rho dL/dx, -clip, clip)      L = KL(teacher || w(x)) / delta**2

    It ends when every x is 0 or 1, or else rounds x. The same on every run with the same options.
    ``progress`` hears of the layers of a start by another method before it hears of the steps.

    Raises
    ------
    ModelError
        There is no data, the loss is not finite, the checkpoint is another run's, or the method
        that gives the start cannot take the model.
    Interrupted
        A signal asked the run to stop, and its state is in the checkpoint.

    Source
    ------
    Chee et al., "DiscQuant: A Quantization Method for Neural Networks Inspired by Discrepancy
    Theory", arXiv:2501.06417, and its authors' code. ``push``, ``gap_power``, ``inner_weight``,
    ``temperature``, ``stages``, biases, and the end as soon as all is rounded, are ours. The
    authors start at random, which is ``start="uniform"``, and their AdamW decays x.
    """
    # Hashing a large network takes seconds, which only a checkpoint needs to spend.
    owner = identity("discquant", problem, options) if checkpoint else {}
    kept = checkpoint.load(owner) if checkpoint else None
    with keeping(checkpoint, owner) as keeper:
        start = rounded_before(problem, options, kept, progress, checkpoint)
        run = _Run(problem, options, start)
        if kept is not None:
            run.restore(kept)
        # Another method's start took minutes: an interruption in the first steps must not lose it.
        elif checkpoint and run.rounded:
            checkpoint.save(owner, run.tensors())
            start_file(checkpoint).path.unlink(missing_ok=True)
        while not run.done:
            run.advance()
            text = f"{run.count} of {run.total} steps"
            keeper.after(run.count, text, run.tensors, due=run.done)
            if progress is not None:
                progress(run.count, run.total, run.share)
    return run.result()


@dataclass(eq=False)
class _Run:
    """A search under way."""

    problem: Problem
    options: DiscQuant
    rounded: dict[str, Tensor] | None  # indices to start from
    step: int = 0  # of the search
    bias_step: int = 0  # after it
    share: float = field(init=False)
    anchor: Tensor = field(init=False)  # y of the linear term
    pull: Tensor = field(init=False)  # the linear term's gradient

    def __post_init__(self):
        options, problem = self.options, self.problem
        # Neighbours of a rounded value are that value twice; beside it there is one to go to.
        layers = around(problem.layers, self.rounded) if self.rounded else problem.layers
        self.space = Interpolation.of(layers, problem.device)
        inner = tuple(problem.scales) if options.inner_weight else ()
        steps = options.steps + options.bias_steps
        self.lessons = Lessons(problem, options.batch, options.seed, steps, inner)
        self._anchor(self.space.y)
        self.x = Adam.of(start_of(self.space, options), options.betas)
        self.tuned = Tuned.of(problem, learns=options.tune_bias)
        self.share = self.space.share(self.x.value)

    @property
    def searching(self) -> bool:
        # A start may round every weight: only steps can show that none of them moves.
        unsettled = self.share < 1 or (self.step == 0 and bool(self.space.free.any()))
        return self.step < self.options.steps and unsettled

    @property
    def tail(self) -> int:
        """The number of steps in which the biases alone learn."""
        return self.options.bias_steps if self.tuned.before else 0

    @property
    def done(self) -> bool:
        return not self.searching and self.bias_step >= self.tail

    @property
    def count(self) -> int:
        return self.step + self.bias_step

    @property
    def total(self) -> int:
        return (self.options.steps if self.searching else self.step) + self.tail

    def advance(self) -> None:
        """One step of the search, or of what follows it."""
        if self.searching:
            self._search()
        else:
            self._tune()

    def _search(self):
        options, progress = self.options, self.step / self.options.steps
        # Rounded up, so that the parts are never more than were asked for.
        if self.step and self.step % -(-options.steps // options.stages) == 0:
            self._anchor(self.x.value.clone())
        by_weights, by_biases = self._gradients(self.x.value)
        # The chain rule through w = down + x gap; step2 is the delta**2 of the loss. In place, as
        # passes over all weights take their time.
        gradient = by_weights.mul_(self.space.gap).mul_(options.rho / self.space.step2)
        gradient.clamp_(-options.clip, options.clip)
        gradient += self.pull
        if options.push:
            # In proportion to progress, so that in the end nothing stays in the middle.
            gradient -= (2 * self.x.value - 1) * self.space.free * (options.push * progress)
        faded = _fade(progress, options) * min(1.0, (self.step + 1) / max(1, options.warm_up))
        self.x.step(gradient, options.rate * faded)
        # After the step, not in the loss: Adam's means then know of no bound.
        self.x.value.clamp_(0, 1)
        if self.tuned.before:
            self.tuned.adam.step(by_biases, options.bias_rate * faded)
        self.step += 1
        self.share = self.space.share(self.x.value)
        if not self.searching:
            # The steps are over: what is still between its neighbours goes to the nearer one.
            self.x.value.round_()
            self.share = 1.0

    def _anchor(self, y):
        space, pull = self.space, 1 - 2 * y
        if self.options.gap_power:
            # Of the weights that can move alone; those on the grid have a gap of 0 and would pull
            # it down.
            mean = space.gap.sum() / space.free.sum().clamp(min=1)
            pull = pull * (space.gap / mean).pow(self.options.gap_power)
        self.anchor, self.pull = y, pull * space.free

    def _tune(self):
        options = self.options
        _, by_biases = self._gradients(self.x.value, self.step + self.bias_step)
        # The tail has a schedule of its own, whatever the search had: its biases should settle.
        faded = 0.5 + 0.5 * math.cos(math.pi * self.bias_step / self.tail)
        self.tuned.adam.step(by_biases, options.bias_rate * faded)
        self.bias_step += 1

    @torch.enable_grad()
    def _gradients(self, x: Tensor, step: int | None = None) -> tuple[Tensor, Tensor]:
        """The loss's gradients on this step's batch, by all weights and by all biases."""
        step = self.step if step is None else step
        weights = {name: w.requires_grad_() for name, w in self.space.weights(x).items()}
        tuned = self.tuned.adam.value.detach().requires_grad_()
        given, lesson = weights | self.tuned.parameters(tuned), self.lessons(step)
        loss = distance_at(step, "discquant", self.problem, given, lesson, self.options)
        # Without a parameter to tune its vector is empty, and nothing depends on it.
        *found, by_tuned = torch.autograd.grad(
            loss, [*weights.values(), tuned], materialize_grads=True
        )
        return torch.cat([part.flatten() for part in found]), by_tuned

    def tensors(self) -> dict[str, Tensor]:
        """The whole state, by name."""
        places = {
            "step": torch.tensor(self.step),
            "bias_step": torch.tensor(self.bias_step),
            "anchor": self.anchor,
        }
        start = {f"start.{name}": found for name, found in (self.rounded or {}).items()}
        return self.x.tensors("x") | self.tuned.adam.tensors("bias") | places | start

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Restore the state that ``tensors`` gave."""
        self.x.restore("x", tensors)
        self.tuned.adam.restore("bias", tensors)
        self._anchor(tensors["anchor"].to(self.anchor))
        self.step, self.bias_step = int(tensors["step"]), int(tensors["bias_step"])
        self.share = self.space.share(self.x.value)

    def result(self) -> Rounded:
        return Rounded(self.space.indices(self.x.value), self.tuned.parameters())


def _fade(progress, options):
    return 1.0 if options.schedule == "constant" else 0.5 + 0.5 * math.cos(math.pi * progress)
