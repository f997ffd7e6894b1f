"""A view that is cut into parts of fewer tensors each, which are joined as they lie."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor

from qnn.frontend.ops.concat import FloatConcat
from qnn.frontend.ops.interleave import FloatInterleave
from qnn.frontend.ops.operator import FloatOperator
from qnn.frontend.views import View


def side_by_side(
    view: View, places: Tensor, part: Callable[[View], FloatOperator]
) -> FloatOperator | None:
    """What joins the parts of ``view`` along its channels, rows or columns; None: it has none.

    Parameters
    ----------
    places : those of one image, (channels, height, width)
    part : gives the operator of each part

    Raises
    ------
    FaultyModel
        A part has no operator.
    """
    index = view.index.reshape(-1, *places.shape)
    sources = view.source_of(places)
    for axis in range(3):
        ends = ends_of(sources.movedim(axis, 0).flatten(1), len(view.sources))
        # All of one part is the same again.
        if len(ends) == 2:
            continue
        names = tuple(
            part(
                replace(
                    view,
                    instead=None,
                    name=f"{view.name}.{start}",
                    index=index[_cut(axis, start, end)],
                )
            ).name
            for start, end in pairwise(ends)
        )
        common = {"name": view.name, "inputs": names, "shape": tuple(places.shape)}
        if axis == 0:
            return FloatConcat(**common)
        offsets = tuple((start, 0) if axis == 1 else (0, start) for start in ends[:-1])
        return FloatInterleave(**common, step=(1, 1), offsets=offsets)
    return None


def ends_of(sources: Tensor, count: int) -> list[int]:
    """Where the set of sources that each row has changes, with both ends.

    Parameters
    ----------
    sources : (rows, values), the number of each value's source
    count : of all sources
    """
    has = torch.zeros(len(sources), count, dtype=torch.bool)
    has[torch.arange(len(sources))[:, None], sources] = True
    changes = (has[1:] != has[:-1]).any(1).nonzero().flatten() + 1
    return [0, *changes.tolist(), len(sources)]


def _cut(axis, start, end):
    # Behind the batch.
    return (slice(None),) * (1 + axis) + (slice(start, end),)
