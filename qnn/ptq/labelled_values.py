"""What outputs that are values should be, where data bring labels."""

from collections.abc import Sequence

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

    None of classes, and where no labels tell anything. Labels that no value can be compared with,
    such as those of anomalies beside what an autoencoder gives back, tell nothing here.

    Parameters
    ----------
    data : as the user gave them; labels are beside the images of a list of batches
    batches : of the same data, of each input
    kinds : what each output is for
    """
    shapes = [each.shape for each in results_of(graph.outputs, graph.host)]
    # What is computed of a softmax's scores is no probability, as its labels are.
    ended = [graph.host is not None and graph.host.end_of(n)[0] for n in range(len(kinds))]
    told = [not kind.classifies and not end for kind, end in zip(kinds, ended, strict=True)]
    found: list[list[Tensor]] = [[] for _ in kinds]
    for part, images in zip(data, batches, strict=True) if isinstance(data, list) else ():
        labels = fitting(shapes, labels_beside(part, len(images), len(kinds)))
        for n, (kind, shape, y) in enumerate(zip(kinds, shapes, labels, strict=True)):
            known = None if y is None or not told[n] else _values(kind, shape, y)
            found[n].append(
                torch.full((len(images[0]), *shape), torch.nan) if known is None else known
            )
    each = [torch.cat(parts) if parts else None for parts in found]
    return tuple(None if y is None or bool(y.isnan().all()) else y for y in each)


def _values(kind, shape, labels):
    """Labels as (samples, *shape) float32; None where they are none of these values."""
    try:
        return torch.from_numpy(labels_for(kind, shape, labels)).reshape(-1, *shape)
    except ModelError:
        return None
