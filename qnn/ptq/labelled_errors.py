"""A float network's own squared error, of outputs that are values, where data bring labels."""

from collections.abc import Sequence

import torch
from torch import Tensor

from qnn.errors import ModelError
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

    Of many samples every second, or third, is looked at, as they may be sorted. Labels that no
    value can be compared with, such as those of anomalies beside what an autoencoder gives back,
    tell nothing here.

    Parameters
    ----------
    data : as the user gave them; labels are beside the images of a list of batches
    batches : of the same data, blocks of what the float network takes
    kinds : what each output is for
    """
    shapes = [each.shape for each in results_of(graph.outputs, graph.host)]
    # What is computed of a softmax's scores is no probability, as its labels are.
    ended = [graph.host is not None and graph.host.end_of(n)[0] for n in range(len(kinds))]
    sums = torch.zeros(2, len(kinds), dtype=torch.float64)  # of squares, and of their numbers
    step = -(-sum(len(batch[0]) for batch in batches) // ENOUGH)
    for part, images in zip(data, batches, strict=True) if isinstance(data, list) else ():
        labels = fitting(shapes, labels_beside(part, len(images), len(kinds)))
        each = zip(kinds, shapes, labels, ended, strict=True)
        wanted = [
            None if y is None or kind.classifies or end else _values(kind, shape, y)
            for kind, shape, y, end in each
        ]
        if all(y is None for y in wanted):
            continue
        parts = [unfinished(graph, *few) for few in chunks([tuple(x[::step] for x in images)])]
        for place, (y, answers) in enumerate(zip(wanted, zip(*parts, strict=True), strict=True)):
            if y is not None:
                squares = (torch.cat(answers).flatten(1) - y[::step].flatten(1)).double().square()
                sums[:, place] += torch.tensor([float(squares.sum()), squares.numel()])
    return tuple(float(total / count) if count else None for total, count in sums.T)


def _values(kind, shape, labels):
    """Labels as (samples, *shape) float32; None where they are none of these values."""
    try:
        return torch.from_numpy(labels_for(kind, shape, labels))
    except ModelError:
        return None
