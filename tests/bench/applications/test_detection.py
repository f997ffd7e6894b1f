"""The detector's loss and score know what is right, and what is a little wrong."""

import numpy as np
import pytest
import torch

from qnn.bench.applications.detection import average_precision, decoded, loss, targets
from qnn.bench.applications.shapes import CLASSES, draw


@pytest.fixture(scope="module")
def boxes():
    return draw(30, 1).boxes


def perfect(boxes):
    """Values of a head that is sure of what is right."""
    wanted = targets(boxes)
    values = torch.full((*wanted.shape[:3], 5 + len(CLASSES)), -9.0)
    there = wanted[..., 0] > 0
    values[..., 0][there] = 9.0
    values[..., 1:3] = torch.logit(wanted[..., 1:3].clamp(1e-4, 1 - 1e-4))
    values[..., 3:5] = wanted[..., 3:5]
    kinds = torch.nn.functional.one_hot(wanted[..., 5].long(), len(CLASSES))
    values[..., 5:] = 18.0 * kinds - 9.0
    return values


def alone(boxes):
    """The boxes of which no two have their centres in one cell, which one head can tell apart."""
    return [
        each for each in boxes if len({(x // 8, y // 8) for _, x, y, _, _ in each}) == len(each)
    ]


def test_perfect_values_find_every_box(boxes):
    boxes = alone(boxes)
    values = perfect(boxes)
    assert average_precision(values.numpy(), boxes) == 100
    assert float(loss(values, targets(boxes))) < 0.01
    for found, wanted in zip(values.numpy(), boxes, strict=True):
        assert len(decoded(found)) == len(wanted)


def test_what_is_wrong_costs(boxes):
    boxes = alone(boxes)
    right = perfect(boxes)
    best = float(loss(right, targets(boxes)))
    elsewhere, larger, others, nothing = (right.clone() for _ in range(4))
    elsewhere[..., 0] = right[..., 0].roll(3, 1)
    larger[..., 3:5] += 1.0
    others[..., 5:] = right[..., 5:].roll(1, -1)
    nothing[..., 0] = -9.0
    for wrong in (elsewhere, larger, others, nothing):
        assert average_precision(wrong.numpy(), boxes) < 20
        assert float(loss(wrong, targets(boxes))) > best + 0.5


def test_a_second_box_for_a_shape_is_a_false_one(boxes):
    boxes = alone(boxes)
    values = perfect(boxes)
    # As good as the others, and without a shape.
    values[:, 0, 0] = torch.tensor([9.0, 0, 0, 0, 0, 9, -9, -9])
    assert 20 < average_precision(values.numpy(), boxes) < 100


def test_pictures_without_a_shape_have_a_loss():
    empty = targets([np.zeros((0, 5), np.float32)])
    values = torch.zeros(1, 8, 8, 5 + len(CLASSES), requires_grad=True)
    loss(values, empty).backward()
    assert torch.isfinite(values.grad).all()
