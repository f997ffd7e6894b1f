"""Detection: the loss of the detector's head, and the average precision of its boxes."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from qnn.bench.applications.shapes import CLASSES, SIDE

CELL = 8  # pixels a side of what one position of the head sees to
OVERLAP = 0.5  # of a box with what it is to find, so that it counts
LEAST_SCORE = 0.05  # of boxes that are looked at: those below add nothing but time
SIZE = 20.0  # pixels, whose logarithm is 0


def targets(boxes: Sequence[np.ndarray]) -> Tensor:
    """What the head should give, (count, cells, cells, 6) float32: there, x, y, sizes, class."""
    cells = SIDE // CELL
    wanted = np.zeros((len(boxes), cells, cells, 6), np.float32)
    for grid, found in zip(wanted, boxes, strict=True):
        for kind, x, y, width, height in found:
            column, row = int(x // CELL), int(y // CELL)
            sizes = np.log(np.array([width, height]) / SIZE)
            grid[row, column] = (1, x / CELL - column, y / CELL - row, *sizes, kind)
    return torch.from_numpy(wanted)


def loss(values: Tensor, wanted: Tensor) -> Tensor:
    """Of the head's values (count, cells, cells, 5 + classes)."""
    there = wanted[..., 0]
    objects = F.binary_cross_entropy_with_logits(values[..., 0], there)
    # A few cells of many have a shape: finding them weighs more than their sizes.
    # Cells without a shape have no place, no size and no class.
    mine, theirs = values[there > 0], wanted[there > 0]
    if not len(mine):
        return objects
    place = F.mse_loss(torch.sigmoid(mine[:, 1:3]), theirs[:, 1:3])
    sizes = F.mse_loss(mine[:, 3:5], theirs[:, 3:5])
    kinds = F.cross_entropy(mine[:, 5:], theirs[:, 5].long())
    return 4 * objects + 4 * place + sizes + kinds


def decoded(values: np.ndarray) -> np.ndarray:
    """Boxes of one image, (boxes, 6): score, class, left, top, right, bottom; best first."""
    values = np.asarray(values, np.float64).reshape(-1, 5 + len(CLASSES))
    cells = SIDE // CELL
    row, column = np.divmod(np.arange(len(values)), cells)
    sigmoid = 1 / (1 + np.exp(-values[:, :3]))
    x, y = (column + sigmoid[:, 1]) * CELL, (row + sigmoid[:, 2]) * CELL
    width, height = (SIZE * np.exp(values[:, 3:5].clip(-3, 3))).T
    kinds = values[:, 5:]
    share = np.exp(kinds - kinds.max(1, keepdims=True))
    score = sigmoid[:, 0] * (share.max(1) / share.sum(1))
    edges = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    boxes = np.stack([score, kinds.argmax(1), *edges], 1)
    return _suppressed(boxes[boxes[:, 0] > LEAST_SCORE])


def average_precision(values: np.ndarray, boxes: Sequence[np.ndarray]) -> float:
    """Mean over the classes, in percent, of boxes that overlap by at least one half."""
    found = [decoded(each) for each in values]
    return 100 * float(np.mean([_precision(kind, found, boxes) for kind in range(len(CLASSES))]))


def _suppressed(boxes):
    """Without those that a better box of the same class covers."""
    kept = []
    for box in boxes[np.argsort(-boxes[:, 0], kind="stable")]:
        if all(box[1] != b[1] or _overlap(box[2:], b[2:]) < OVERLAP for b in kept):
            kept.append(box)
    return np.array(kept).reshape(-1, 6)


def _overlap(one, other):
    """Intersection over union of two boxes, each left, top, right, bottom."""
    inner = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    both = max(inner[0], 0) * max(inner[1], 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return both / (sum(areas) - both)


def _precision(kind, found, boxes):
    """Area under the curve of precision over recall, of one class."""
    wanted = [_edges(each[each[:, 0] == kind]) for each in boxes]
    claims = [
        (box[0], i, box[2:]) for i, each in enumerate(found) for box in each[each[:, 1] == kind]
    ]
    claims.sort(key=lambda claim: -claim[0])
    free = [list(each) for each in wanted]
    right = np.zeros(len(claims))
    for place, (_, image, box) in enumerate(claims):
        overlaps = [_overlap(box, each) for each in free[image]]
        if overlaps and max(overlaps) >= OVERLAP:
            # Each shape is found once; a second box for it is a false one.
            free[image].pop(int(np.argmax(overlaps)))
            right[place] = 1
    hits = right.cumsum()
    recall, precision = hits / max(sum(map(len, wanted)), 1), hits / np.arange(1, len(hits) + 1)
    # Precision at a recall is the best that any later threshold has.
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall, prepend=0.0) * best).sum())


def _edges(boxes):
    _, x, y, width, height = boxes.T
    return np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], 1)
