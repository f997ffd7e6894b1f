"""Views that no single selection gives: pieces of them side by side, or rows and columns apart.

A flip, a roll or a repetition moves whole rows and columns, which is a resampling with one pixel of
weight 1 for each result. What exchanges channels with rows, or makes pixels of channels, is cut
into rows, columns or pixels that one selection gives each.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

from qnn.frontend.ops.operator import FloatOperator
from qnn.frontend.ops.resample import Resample
from qnn.frontend.passes.lower_resamples import columns_of, parts_of
from qnn.frontend.views import View

# Each piece is a convolution or two, so that more would be networks of thousands.
MOST_PIECES = 256
MOST_OF_MATRIX = 1 << 24  # values of a matrix of which all but one in each row are 0
MOST_STEPS = 64  # between the rows of a piece


def resampled(name: str, source: FloatOperator, places: Tensor) -> Resample | None:
    """Rows and columns of ``source`` in any order and as often as wanted; None: other values.

    Parameters
    ----------
    places : (channels, height, width), of the result's values among those of ``source``, of which
        each channel of the result reads that of the same number
    """
    _, height, width = source.shape
    if max(height * places.shape[1], width * places.shape[2]) > MOST_OF_MATRIX:
        return None
    rows, columns = places % (height * width) // width, places % width
    if not bool((rows == rows[:1, :, :1]).all() and (columns == columns[:1, :1]).all()):
        return None
    matrices = [
        F.one_hot(rows[0, :, 0], height).float(),
        F.one_hot(columns[0, 0], width).float(),
    ]
    down, across = matrices
    if max(len(parts_of(down)[1]), len(columns_of(across)[1])) > MOST_PIECES:
        return None
    return Resample(
        name=name, inputs=(source.name,), shape=tuple(places.shape), rows=down, columns=across
    )


@dataclass(frozen=True)
class Piece:
    """A part of a view's block: the values from ``first``, a step apart, as a view of its own."""

    view: View
    first: tuple[int, int]


Cut = Callable[[], Iterator[Piece]]
Ranges = tuple[int, list[range]]  # the step of all, and the rows or columns of each


def cuts(view: View, places: Tensor, batch: int) -> Iterator[tuple[tuple[int, int], Cut]]:
    """Steps and pieces of the ways in which a block may be cut, those of the fewest pieces first.

    Parameters
    ----------
    places : (channels, height, width), of the view's values among those of its sources
    """
    down, across = (_cut(_lines(view, axis)[places], places, axis) for axis in (1, 2))
    whole: tuple[Ranges, ...] = tuple((1, [range(size)]) for size in places.shape[1:])
    # Rows alone and columns alone make fewer pieces, but not all of them are selections.
    ways = [(down, whole[1]), (whole[0], across), (down, across)]
    for rows, columns in sorted(ways, key=lambda way: len(way[0][1]) * len(way[1][1])):
        if 1 < len(rows[1]) * len(columns[1]) <= MOST_PIECES:

            def cut(rows=rows[1], columns=columns[1]):
                for one, other in product(rows, columns):
                    yield _piece(view, places, one, other, batch)

            yield (rows[0], columns[0]), cut


def _lines(view: View, axis: int) -> Tensor:
    """For each value of the sources a number of the row or column along which ``axis`` runs."""
    found, count = [], 0
    for source in view.sources:
        channels, height, width = source.shape
        lines = (channels, 1, width) if axis == 1 else (channels, height, 1)
        numbers = torch.arange(prod(lines)).reshape(lines).expand(source.shape) + count
        found.append(numbers.flatten())
        count += prod(lines)
    return torch.cat(found)


def _cut(lines: Tensor, places: Tensor, axis: int) -> Ranges:
    """The rows or columns of each piece, in the way that has the fewest."""
    lines, places = lines.movedim(axis, 0).flatten(1), places.movedim(axis, 0).flatten(1)
    # By one value of each row, as most steps lead nowhere; then by all.
    best, fewest = 1, len(places) + 1
    for step in range(1, min(len(places), MOST_STEPS) + 1):
        # Rows that are n apart make n pieces at least.
        if step >= fewest:
            break
        count = len(_ranges(lines[:, :1], places[:, :1], step))
        best, fewest = (step, count) if count < fewest else (best, fewest)
    found = {step: _ranges(lines, places, step) for step in (1, best)}
    return min(found.items(), key=lambda each: len(each[1]))


def _ranges(lines: Tensor, places: Tensor, step: int) -> list[range]:
    """Rows ``step`` apart whose values lie on one line each, all at the same distances."""
    size = len(places)
    distance = places[step:] - places[:-step]
    alike = (lines[step:] == lines[:-step]).all(1) & (distance == distance[:, :1]).all(1)
    # What goes back, or stays, is no slice.
    ahead = torch.where(alike, distance[:, 0], 0).clamp(min=0).tolist()
    found = []
    for phase in range(step):
        begin = phase
        for row in range(phase, size, step):
            leads = row + step < size and ahead[row] and ahead[row] == ahead[begin]
            if not leads:
                found.append(range(begin, row + 1, step))
                begin = row + step
    return found


def _piece(view: View, places: Tensor, rows: range, columns: range, batch: int) -> Piece:
    part = places[:, rows.start : rows.stop : rows.step]
    part = part[:, :, columns.start : columns.stop : columns.step]
    first = (rows.start, columns.start)
    # Beside each other, image by image.
    images = torch.arange(batch).reshape(-1, 1, 1, 1) * view.total
    name = f"{view.name}.{first[0]}_{first[1]}"
    return Piece(replace(view, name=name, index=images + part, instead=None).of_used(), first)
