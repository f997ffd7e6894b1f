"""How well a model does its task on a set of images, batch by batch."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from qnn.tasks.kinds import TaskKind, find_task, labels_for
from qnn.tasks.measures import measures, tally

Images = Tensor | tuple[Tensor, ...]  # of one input, or of each


def accuracy(model: Callable[..., Tensor], x: Images, y: Tensor, batch: int = 500) -> float:
    """Share of images whose class ``model`` gets right, 0 to 1.

    Raises
    ------
    ModelError
        Outputs and labels are of no task with classes.
    """
    return measured_on(model, x, y, batch=batch)[1]["accuracy"] / 100


@torch.no_grad()
def measured_on(
    model: Callable[..., Tensor], x: Images, y: Tensor, asked: str | None = None, batch: int = 500
) -> tuple[TaskKind, dict[str, float | None]]:
    """The task of ``model`` and its numbers on labelled images; raises as ``find_task``."""
    shape = model(*(images[:1] for images in _each(x))).shape[1:]
    kind = find_task(shape, y.numpy(), asked)
    labels = torch.from_numpy(labels_for(kind, shape, y.numpy()))
    return kind, measures(kind, tallied(kind, model, x, labels, batch))


@torch.no_grad()
def tallied(
    kind: TaskKind, model: Callable[..., Tensor], x: Images, y: Tensor, batch: int = 500
) -> np.ndarray:
    """Sums over all images, as ``qnn.tasks.measures.tally`` gives them; ``y`` as it takes them."""
    parts = zip(*(images.split(batch) for images in _each(x)), y.split(batch), strict=True)
    return sum(
        tally(kind, model(*images).cpu().numpy(), labels.cpu().numpy()) for *images, labels in parts
    )


def _each(x):
    return x if isinstance(x, tuple) else (x,)
