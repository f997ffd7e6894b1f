"""What outputs that are values should be, where data bring labels."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from qnn.errors import ModelError
from qnn.frontend.graph import FloatGraph
from qnn.ir.graph import results_of
from qnn.ptq.data import Data, labels_beside
from qnn.tasks.kinds import TaskKind, labels_for
from qnn.tasks.outputs import fitting


def labelled_values(
    graph: FloatGraph,
    data: Data,
    batches: Sequence[tuple[Tensor, ...]],
    kinds: Sequence[TaskKind],
) -> tuple[Tensor | None, ...]:
    """Of each output what it should be, (samples, *shape) float32, NaN where no labels tell it.

    None of classes, of what should be the input, and where no labels tell anything. Labels that no
    value can be compared with, such as those of classes, tell nothing here.

    Parameters
    ----------
    data : as the user gave them; labels are beside the images of a list of batches
    batches : of the same data, of each input
    kinds : what each output is for
    """
    shapes = [each.shape for each in results_of(graph.outputs, graph.host)]
    # What is computed of a softmax's scores is no probability, as its labels are.
    ended = [graph.host is not None and graph.host.end_of(n)[0] for n in range(len(kinds))]
    told = [kind is TaskKind.REGRESSION and not end for kind, end in zip(kinds, ended, strict=True)]
    found: list[list[Tensor | None]] = [[] for _ in kinds]
    for part, images in zip(data, batches, strict=True) if isinstance(data, list) else ():
        labels = fitting(shapes, labels_beside(part, len(images), len(kinds)))
        for n, (shape, y) in enumerate(zip(shapes, labels, strict=True)):
            found[n].append(_values(shape, y) if told[n] and y is not None else None)
    counts = [len(images[0]) for images in batches]
    return tuple(_joined(parts, counts) for parts in found)


def _values(shape, labels) -> Tensor | None:
    """Labels as (samples, *shape) float32, NaN of those that are not finite.

    None where they are none of these values, or none is finite.
    """
    with np.errstate(over="ignore"):
        labels = labels.astype(np.float32)
    told = np.isfinite(labels)
    if not told.any():
        return None
    try:
        values = labels_for(TaskKind.REGRESSION, shape, np.where(told, labels, 0))
    except ModelError:
        return None
    values[~told.reshape(values.shape)] = np.nan
    return torch.from_numpy(values).reshape(-1, *shape)


def _joined(parts, counts) -> Tensor | None:
    """The values of all batches, as many as ``counts`` says; None where none has any."""
    known = next((part for part in parts if part is not None), None)
    if known is None:
        return None
    shape = known.shape[1:]
    return torch.cat(
        [
            known.new_full((count, *shape), torch.nan) if part is None else part
            for part, count in zip(parts, counts, strict=True)
        ]
    )
