"""Pads with numbers other than 0: a frame of that number, or, before a maximum, of nothing."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.frontend.checks import check_floats, check_integers

IMAGES = torch.randn(3, 3, 7, 5, generator=torch.Generator().manual_seed(1)) - 1
LOWEST = (float("-inf"), -1e9)


class Padded(nn.Module):
    """A form between two convolutions, all of whose values are below 0."""

    def __init__(self, form):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.form, self.last = nn.Conv2d(3, 4, 1), form, nn.Conv2d(4, 2, 2)

    def forward(self, x):
        return self.last(self.form(-1 - self.first(x).abs()))


@pytest.mark.parametrize("amounts", [(1, 2), (1, 0, 2, 1), (0, -1, 1, 1), (0, 0, 0, 0, 1, -1)])
@pytest.mark.parametrize("value", [1.0, -2.5])
def test_a_frame_of_any_number_is_what_pytorch_has(amounts, value):
    check_floats(Padded(lambda x: F.pad(x, amounts, value=value)).eval(), IMAGES)


@pytest.mark.parametrize("lowest", LOWEST)
@pytest.mark.parametrize("amounts", [(0, 1, 0, 1), (1, 1, 1, 1), (2, 1), (0, 1)])
def test_a_frame_of_the_lowest_number_leaves_every_maximum_as_it_is(amounts, lowest):
    pooled = Padded(lambda x: F.max_pool2d(F.pad(x, amounts, value=lowest), 3, 2))
    check_floats(pooled.eval(), IMAGES)


def test_frames_are_the_same_integers_everywhere():
    check_integers(Padded(lambda x: F.pad(x, (1, 1, 1, 1), value=-3.0)).eval(), IMAGES, 45)
