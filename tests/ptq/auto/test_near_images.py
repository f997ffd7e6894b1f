"""Which images the types of tensors are chosen on, and what is said of those that are left out."""

import torch
from torch import nn

from qnn.frontend.capture import capture
from qnn.frontend.fuse import fuse
from qnn.frontend.run import blocks_of
from qnn.ptq.auto.near_images import calibrated_on_near
from qnn.ptq.auto.split import FEWEST
from qnn.ptq.uncalibrated import Uncalibrated


def near(x):
    """The numbers of the images that types were chosen on, and the lines that were told."""
    torch.manual_seed(0)
    model, lines = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).eval(), []
    network = Uncalibrated(fuse(capture(model, x)), (None,), 3, 8, {})
    _, numbers = calibrated_on_near(network, blocks_of(network.graph, (x,)), lines.append)
    return set(numbers.tolist()), lines


def spoilt(count, *which):
    x = torch.randn(count, 6, generator=torch.Generator().manual_seed(0))
    x[list(which)] *= 1000
    return x


def test_images_that_reach_far_are_left_out_and_told_of():
    numbers, lines = near(spoilt(400, 7))
    assert numbers == set(range(400)) - {7}
    assert lines == ["1 image reaches further than all others, left out of calibration"]


def test_all_images_that_are_near_are_used():
    assert near(spoilt(400)) == (set(range(400)), [])


def test_of_few_images_none_is_left_out():
    numbers, lines = near(spoilt(FEWEST, 7))
    assert numbers == set(range(FEWEST))
    assert lines == [
        f"1 image reaches further than all others; fewer than {FEWEST} would be left without"
    ]
