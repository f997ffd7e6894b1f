"""The loss of DiscQuant: how far a network's answers are from its teacher's, without labels."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from qnn.errors import ModelError
from qnn.quant.rounding.problem import Answers, Batch, Problem, Teacher
from qnn.tasks.kinds import TaskKind, find_task
from qnn.tasks.losses import TaskLoss, classes_first, relative_error, spread
from qnn.tasks.structures import tensors_of

LOSSES = ("task", "kl", "squared")
PRECISIONS = {"float32": None, "bf16": torch.bfloat16}


def divergence(wanted: Tensor, got: Tensor, temperature: float = 1.0) -> Tensor:
    """T**2 KL(softmax(wanted / T) || softmax(got / T)), averaged over all but classes, dimension 1.

    Raises
    ------
    ModelError
        There is only one class, so that all answers are equal.
    """
    if wanted.shape[1] == 1:
        raise ModelError(
            "rounding by KL needs outputs of two classes or more, not one value; use loss='squared'"
        )
    # In float32: a softmax of bfloat16 has three digits, and the difference of two near ones has
    # none.
    return TaskLoss(TaskKind.CLASSES).of_answers(got.float(), wanted.float(), temperature)


def drawn_slope(kind: TaskKind, wanted: Tensor, unit: float, generator: torch.Generator) -> Tensor:
    """A random gradient by outputs, whose covariance is the Hessian of their loss at ``wanted``.

    The loss is that of ``Measure`` for "task", least where outputs are the wanted ones. So half the
    mean square of what such a gradient says of a small change is what the change loses.

    Parameters
    ----------
    wanted : of one sample, (1, classes, ...) where classes compete, else (1, ...)
    unit : of values, what their squared error is divided by
    """
    wanted = wanted.detach().float()
    if kind.competes:
        p = wanted.softmax(1).movedim(1, -1)
        # On the CPU, so that a GPU draws the same.
        drawn = torch.multinomial(p.flatten(0, -2).cpu(), 1, generator=generator)
        chosen = F.one_hot(drawn.view(p.shape[:-1]), p.shape[-1]).to(p)
        return ((chosen - p) / math.sqrt(drawn.numel())).movedim(-1, 1)
    size = torch.full_like(wanted, math.sqrt(2 / unit))
    if kind.classifies:
        there = wanted.sigmoid()
        size = (there * (1 - there)).sqrt()
    signs = 2.0 * torch.randint(2, wanted.shape, generator=generator) - 1
    return size * signs.to(wanted) / math.sqrt(wanted.numel())


@dataclass(frozen=True)
class Measure:
    """How far answers are from those that are wanted, summed over the outputs.

    Each output's part is a mean over samples and positions, so that a large output weighs no more
    than a small one: of classes in nats, of values in units of their variance, and relative to
    the teacher's square for "squared". So the scale of values does not count either.

    Members
    -------
    loss : of outputs, "task", "kl" or "squared"
    temperature : what logits are divided by
    inner_weight : of the relative squared error of results inside the network
    kinds : of each output, for the loss "task"
    """

    loss: str = "task"
    temperature: float = 1.0
    inner_weight: float = 0.0
    kinds: Sequence[TaskKind] = ()

    def __call__(self, wanted: Answers, got: Answers) -> Tensor:
        """The distance, differentiable."""
        kinds, outputs = self.kinds, (wanted.outputs, got.outputs)
        if not kinds:
            # Without a word on what they are, outputs tell by their shapes alone.
            outputs = tuple(tuple(map(classes_first, each)) for each in outputs)
            kinds = [find_task(output.shape[1:]) for output in outputs[0]]
        each = zip(kinds, *outputs, strict=True)
        total = sum(self._of_outputs(*output) for output in each)
        if self.inner_weight and got.inner:
            inside = [relative_error(wanted.inner[name], got.inner[name]) for name in got.inner]
            # Their mean, so that a deeper network does not weigh its inside more.
            total = total + self.inner_weight * sum(inside) / len(inside)
        return total

    def _of_outputs(self, kind, wanted, got):
        if self.loss == "squared":
            return relative_error(wanted, got)
        if self.loss == "kl":
            return divergence(wanted, got, self.temperature)
        # Over the spread and not the square: what all samples share needs no network.
        own = TaskLoss(kind, spread(wanted))
        return own.of_answers(got.float(), wanted.detach().float(), self.temperature)


def answers(
    model: nn.Module, replaced: Mapping[str, Tensor], x: Batch, inner: Collection[str] = ()
) -> Answers:
    """What ``model`` gives with some parameters replaced, and what its modules ``inner`` give."""
    with _listening(model, inner) as heard:
        # Not strict: only the rounded parameters are given, the others stay the model's own.
        result = functional_call(model, dict(replaced), x, strict=False)
    return Answers(tensors_of(result), heard)


def module_teacher(model: nn.Module) -> Teacher:
    """The answers of ``model`` as it is."""
    return lambda x, inner: answers(model, {}, x, inner)


def run_distance(
    problem: Problem,
    replaced: Mapping[str, Tensor],
    lesson: tuple[Batch, Answers],
    measure: Measure,
    precision: str = "float32",
) -> Tensor:
    """The distance on one batch, differentiable with respect to ``replaced``.

    ``lesson`` is the batch and the answers that it should have.
    """
    x, wanted = lesson
    kind = PRECISIONS[precision]
    with torch.autocast(problem.device.type, kind, enabled=kind is not None):
        got = answers(problem.model, replaced, x, tuple(wanted.inner))
    scaled = {name: result * problem.scales[name] for name, result in got.inner.items()}
    return measure(wanted, Answers(got.outputs, scaled))


class Compared(Protocol):
    """Options of a method that compares answers: see ``Measure`` and ``run_distance``."""

    # Read alone, as options are frozen.
    @property
    def loss(self) -> str: ...
    @property
    def temperature(self) -> float: ...
    @property
    def inner_weight(self) -> float: ...
    @property
    def precision(self) -> str: ...


def distance_at(
    step: int,
    method: str,
    problem: Problem,
    replaced: Mapping[str, Tensor],
    lesson: tuple[Batch, Answers],
    options: Compared,
) -> Tensor:
    """``run_distance`` at a step of a method, by its options.

    Raises
    ------
    ModelError
        It is not finite.
    """
    measure = Measure(options.loss, options.temperature, options.inner_weight, problem.kinds)
    loss = run_distance(problem, replaced, lesson, measure, options.precision)
    if not bool(torch.isfinite(loss)):
        raise ModelError(
            f"{method} needs finite answers, but the loss of step {step} is NaN or infinite; check "
            f"the data and the float model's outputs"
        )
    return loss


@contextmanager
def _listening(model, names) -> Iterator[dict[str, Tensor]]:
    """Results of the named modules in the calls inside the block."""
    heard: dict[str, Tensor] = {}

    def hear(name):
        def hook(_module, _inputs, result):
            heard[name] = result

        return hook

    handles = [model.get_submodule(name).register_forward_hook(hear(name)) for name in names]
    try:
        yield heard
    finally:
        for handle in handles:
            handle.remove()
