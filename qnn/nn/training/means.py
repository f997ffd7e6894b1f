"""The means that BatchNorm starts from on the grid: the given ones, or the network's own."""

from collections.abc import Mapping

import torch
from torch import Tensor

from qnn.nn.recenter import recenter
from qnn.nn.training.run import RunState

MEAN_IMAGES = 512  # a channel's mean over them is far surer than that of a batch


@torch.no_grad()
def choose_means(run: RunState) -> None:
    """Let BatchNorm start from the means with which the first batch loses less.

    Where rounding has corrected biases, these are the rounded network's own (see ``recenter``).
    Where it has not, a batch's own mean in the place of the float network's makes up for what the
    rounding has moved, and the given ones are better.
    """
    task, module = run.task, run.task.student.module
    if not task.student.on_grid or task.student.freezes_at <= 0 or not task.student.statistics():
        return
    given = _means(module)
    loss = _first_loss(run)
    module.load_state_dict(given, strict=False)
    recenter(module, lambda: _pass(run), task.processes.add_up)
    own = _means(module)
    better = own if _first_loss(run) < loss else given
    module.load_state_dict(better, strict=False)


def _means(module) -> Mapping[str, Tensor]:
    state = module.state_dict().items()
    return {name: tensor.clone() for name, tensor in state if name.endswith((".mean", ".beta"))}


def _first_loss(run) -> float:
    """The loss of the first batch, with its own means."""
    loss = run.batch_loss()[0].double()
    run.task.processes.add_up([loss])
    return float(loss)


def _pass(run):
    """Pass the first batches through the model in training."""
    task = run.task
    for step in range(min(run.steps, -(-MEAN_IMAGES // task.batches.size))):
        task.reader(task.student.module, task.placed(task.batches(step)[0]))
