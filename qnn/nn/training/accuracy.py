"""How well a model does its task on a set of images, batch by batch."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qnn.errors import ModelError
from qnn.tasks.kinds import TaskKind, find_task, labels_for
from qnn.tasks.measures import measures, tally
from qnn.tasks.structures import names_of, tensors_of

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
    result = model(*(images[:1] for images in _each(x)))
    if len(names_of(result)) != 1:
        told = ", ".join(f"'{name}'" for name in names_of(result))
        raise ModelError(
            f"accuracy needs a model of one output, not {told}; give a function that chooses one, "
            f"or take qnn.evaluate"
        )
    shape = tensors_of(result)[0].shape[1:]
    kind = find_task(shape, y.numpy(), asked)
    labels = torch.from_numpy(labels_for(kind, shape, y.numpy()))
    return kind, measures(kind, tallied((kind,), model, x, (labels,), batch)[0])


@torch.no_grad()
def tallied(
    kinds: Sequence[TaskKind],
    model: Callable[..., Any],
    x: Images,
    labels: Sequence[Tensor | None],
    batch: int = 500,
) -> tuple[np.ndarray, ...]:
    """Sums over all images for each output, as ``qnn.tasks.measures.tally`` gives them.

    Parameters
    ----------
    labels : of each output, as ``tally`` takes them; None where its sums are none
    """
    found = [np.zeros(()) for _ in kinds]
    for start in range(0, len(_each(x)[0]), batch):
        part = slice(start, start + batch)
        outputs = tensors_of(model(*(images[part] for images in _each(x))))
        for place, (kind, output, y) in enumerate(zip(kinds, outputs, labels, strict=True)):
            if y is not None:
                sums = tally(kind, output.cpu().numpy(), y[part].cpu().numpy())
                found[place] = found[place] + sums
    return tuple(found)


def _each(x):
    return x if isinstance(x, tuple) else (x,)
