"""What BatchNorm subtracts on the grid: the given means, the network's own, or fixed ones."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from qnn.nn.recenter import recenter
from qnn.nn.training.run import RunState

MEAN_IMAGES = 512  # a channel's mean over them is far surer than that of a batch
# Fixed means are clearly better where the first batch loses less than this share of what it loses
# with moving ones. From nearest weights it loses 0.93 to 1.1 of that, as chance has it, and of what
# ``auto`` rounded 0.74 to 0.87: of KL from a teacher. Of labels it always loses some, and more.
CLEARLY = 0.9


@torch.no_grad()
def choose_means(run: RunState) -> None:
    """Let BatchNorm go on from that with which the first batch loses least.

    - A batch's own means, in the place of the given ones: they make up for what rounding has moved,
      where it has corrected no biases.
    - The same, after ``recenter``: where biases were corrected, they would be so twice without.
    - Fixed means, where they lose clearly less and the recipe does not say when they are fixed: of
      a dense layer the means of a batch are noise, which a network that is near to its teacher
      feels.

    It is a function of the run's start alone, so that a run that goes on chooses the same.
    """
    task, student = run.task, run.task.student
    if not student.on_grid or student.freezes_at <= 0 or not student.statistics():
        return
    given = _means(student.module)
    losses = {"given": _first_loss(run)}
    student.module.load_state_dict(given, strict=False)
    recenter(student.module, lambda: _pass(run), task.processes.add_up)
    own = _means(student.module)
    losses["own"] = _first_loss(run)
    student.module.load_state_dict(own, strict=False)
    if task.recipe.freeze_statistics_at is None:
        usual, student.freezes_at = student.freezes_at, 0.0
        fixed = _first_loss(run)
        # A loss of the user's may be negative.
        losses["fixed"] = fixed + (1 / CLEARLY - 1) * abs(fixed)
        student.freezes_at = usual
    best = min(losses, key=lambda name: math.inf if math.isnan(losses[name]) else losses[name])
    if best == "fixed":
        student.freezes_at = 0.0
    if best == "given":
        student.module.load_state_dict(given, strict=False)


def _means(module) -> Mapping[str, Tensor]:
    state = module.state_dict().items()
    return {name: tensor.clone() for name, tensor in state if name.endswith((".mean", ".beta"))}


def _first_loss(run) -> float:
    """The loss of the first batch, as training would compute it."""
    loss = run.batch_loss()[0].double()
    run.task.processes.add_up([loss])
    return float(loss)


def _pass(run):
    """Pass the first batches through the model in training."""
    task = run.task
    for step in range(-(-MEAN_IMAGES // task.batches.size)):
        task.reader(task.student.module, task.placed(task.batches(step)[0]))
