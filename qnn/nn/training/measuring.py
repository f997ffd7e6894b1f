"""Around training: the numbers of the task on test images, and the loss on images held out."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from qnn.nn.training.accuracy import tallied
from qnn.nn.training.against_teacher import AgainstTeacher
from qnn.nn.training.held_out import Judged
from qnn.nn.training.losses import losses
from qnn.nn.training.task import TrainingTask
from qnn.tasks.lost import unit_of
from qnn.tasks.measures import measures
from qnn.tasks.outputs import by_name
from qnn.tasks.structures import on_tensors

TEST_BATCH = 500  # samples that losses are measured on at a time


def test_measures(task: TrainingTask, model: nn.Module) -> Mapping[str, Any]:
    """The tasks' numbers on the test images, each process taking its share; none without.

    Those of several outputs are by the output's name; of a loss of the user's ``loss`` is the mean.
    """
    processes = task.processes
    if task.samples.x_test is None:
        return {}
    share = slice(processes.rank, None, processes.count)
    x = task.samples.x_test[share]
    y = on_tensors(lambda tensor: tensor[share], task.samples.y_test)
    if task.own is not None:
        return {} if y is None else {"loss": _mean_of_own(task, model, x, y)}
    wanted = task.wanted(x, y)
    if all(each is None for each in wanted):
        return {}
    kinds = [head.kind for head in task.heads]
    found = []

    def scores(part):
        return task.scores(model, task.placed(part))

    for kind, sums in zip(kinds, tallied(kinds, scores, x, wanted), strict=True):
        total = torch.from_numpy(sums).to(processes.device)
        processes.add_up([total])
        found.append(measures(kind, total.cpu().numpy()) if total.dim() else {})
    return by_name([head.name for head in task.heads], found)


@torch.no_grad()
def judged(task: TrainingTask, trained: nn.Module) -> Judged | None:
    """How ``trained`` compares with the model at the start; None where nothing was held out."""
    if not len(task.held_out):
        return None
    device, rank, count = task.processes.device, task.processes.rank, task.processes.count
    sums = torch.zeros(2, dtype=torch.float64, device=device)
    against = AgainstTeacher(task)
    # Each process takes its share, as it does of the test images.
    # No more at a time than in training, whose batches fit in memory.
    places = torch.arange(len(task.held_out))[rank::count]
    for part in places.split(min(TEST_BATCH, task.recipe.batch)):
        images = task.held_out[part]
        x = task.placed(task.samples.x_train[images])
        y = on_tensors(lambda tensor, part=images: tensor[part].to(device), task.samples.y_train)
        answers, wanted = task.answers(x), task.wanted(x, y)
        found = [task.scores(model, x) for model in (task.start, trained)]
        for place, got in enumerate(found):
            sums[place] += len(x) * losses(got, answers, wanted, task.recipe, task.heads)
        against.take(part, wanted, answers, found)
    task.processes.add_up([sums, against.shares, against.errors])
    before, after = (sums / len(task.held_out)).tolist()
    unit = unit_of([head.kind for head in task.heads])
    return Judged(len(task.held_out), before, after, *against.lost(), unit)


@torch.no_grad()
def _mean_of_own(task, model, x: Tensor, y) -> float:
    device = task.processes.device
    sums = torch.zeros(2, dtype=torch.float64, device=device)
    for start in range(0, len(x), TEST_BATCH):
        part = slice(start, start + TEST_BATCH)
        labels = on_tensors(lambda tensor, part=part: tensor[part].to(device), y)
        count = len(x[part])
        loss = task.own(task.reader(model, task.placed(x[part])), labels)
        sums += torch.stack([loss.double() * count, loss.new_tensor(count).double()])
    task.processes.add_up([sums])
    return float(sums[0] / sums[1])
