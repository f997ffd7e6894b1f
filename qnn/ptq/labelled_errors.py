"""A float network's own squared error, of outputs that are values, where data bring labels."""

from collections.abc import Sequence

import torch
from torch import Tensor

from qnn.frontend.graph import FloatGraph
from qnn.frontend.run import unfinished
from qnn.ir.graph import results_of
from qnn.ptq.data import Data, chunks, labels_beside
from qnn.tasks.kinds import TaskKind, labels_for
from qnn.tasks.outputs import fitting

ENOUGH = 2048  # samples: errors that are spread as a normal's squares are known to 3 percent


@torch.no_grad()
def labelled_errors(
    graph: FloatGraph,
    data: Data,
    batches: Sequence[tuple[Tensor, ...]],
    kinds: Sequence[TaskKind],
) -> tuple[float | None, ...]:
    """The mean squared error of each output; None of classes, and where no labels tell it.

    Parameters
    ----------
    data : as the user gave them; labels are beside the images of a list of batches
    batches : of the same data, blocks of what the float network takes
    kinds : what each output is for
    """
    shapes = [each.shape for each in results_of(graph.outputs, graph.host)]
    sums = torch.zeros(2, len(kinds), dtype=torch.float64)  # of squares, and of their numbers
    left = ENOUGH
    for part, images in zip(data, batches, strict=True) if isinstance(data, list) else ():
        labels = fitting(shapes, labels_beside(part, len(images), len(kinds)))
        wanted = [
            None if y is None or kind.classifies else torch.from_numpy(labels_for(kind, shape, y))
            for kind, shape, y in zip(kinds, shapes, labels, strict=True)
        ]
        if left <= 0 or all(y is None for y in wanted):
            break
        some = tuple(each[:left] for each in images)
        parts = [unfinished(graph, *few) for few in chunks([some])]
        for place, (y, answers) in enumerate(zip(wanted, zip(*parts, strict=True), strict=True)):
            if y is not None:
                squares = (torch.cat(answers).flatten(1) - y[:left].flatten(1)).double().square()
                sums[:, place] += torch.tensor([float(squares.sum()), squares.numel()])
        left -= len(some[0])
    return tuple(float(total / count) if count else None for total, count in sums.T)
