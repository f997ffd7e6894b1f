"""Writes into parts of tensors, as users write them: the whole network is what PyTorch computes."""

import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from qnn.errors import ModelError
from qnn.frontend.capture import capture
from tests.frontend.checks import check_floats, check_integers
from tests.release import WRITES_TO_CONSTANTS

IMAGES = torch.randn(3, 3, 6, 4, generator=torch.Generator().manual_seed(1))
SCALE = torch.tensor([0.5, 1.5])


class Writing(nn.Module):
    """A convolution, and what a form makes of its result."""

    def __init__(self, form):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.form = nn.Conv2d(3, 8, 3, padding=1), form

    def forward(self, x):
        return self.form(self.conv(x), x)


def gates_in_place(y, x):
    y[:, 0] = torch.sigmoid(y[:, 0])
    y[:, 1:3] *= 2
    y[:, 3:5] = y[:, 3:5].exp().clamp(max=5)
    return y


def boxes_in_place(y, x):
    y = y.view(-1, 2, 4, 6, 4).permute(0, 1, 3, 4, 2).sigmoid()
    y[..., 0:2] = y[..., 0:2] * 2 - 0.5
    y[..., 2:4] = (y[..., 2:4] * 2) ** 2 * SCALE
    return y.reshape(len(y), -1, 4)


def shifted(y, x):
    out = torch.zeros_like(y)
    out[:, :4, :-1] = y[:, :4, 1:]
    out[:, 4:, 1:] = y[:, 4:, :-1]
    return out


def four_phases(y, x):
    out = torch.zeros(len(y), 2, 12, 8)
    out[:, :, 0::2, 0::2] = y[:, :2] - y[:, 2:4]
    out[:, :, 1::2, 0::2] = y[:, 2:4]
    out[:, :, 0::2, 1::2] = y[:, 4:6]
    out[:, :, 1::2, 1::2] = y[:, 6:] + y[:, :2]
    return out


def filled(y, x):
    y[:, 0].fill_(0.5)
    y[:, 1].zero_()
    y[:, 2].mul_(2).add_(1)
    y[:, :, :, -1:] = 1.5
    return y


def by_index(y, x):
    y[:, [0, 3]] = y[:, [5, 6]]
    y[:, [1, 4]] = 0.25
    return y


def by_mask(y, x):
    y[y < 0] = 0
    return y


def into_memory(y, x):
    out = torch.empty(len(y), 8, 6, 4)
    out[:, :4] = y[:, 4:]
    out[:, 4:] = y[:, :4]
    return out


def step_by_step(y, x):
    steps = y.mean(3)
    out = steps.new_zeros(len(y), 6, 8)
    for t in range(6):
        out[:, t] = torch.tanh(steps[:, :, t])
    return out


FORMS = {
    "gates in place": gates_in_place,
    "boxes in place": boxes_in_place,
    "a shift into zeros": shifted,
    "four phases": four_phases,
    "numbers": filled,
    "by an index": by_index,
    "by a mask": by_mask,
    "into memory": into_memory,
    "step by step": step_by_step,
    "constants like a tensor": lambda y, x: torch.cat([y, torch.full_like(y[:, :1], 0.5)], 1),
    "a constant of a tensor's type": lambda y, x: y + torch.arange(8).view(8, 1, 1).type_as(y),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_what_is_written_into_a_tensor_is_what_pytorch_has(form):
    check_floats(Writing(form).eval(), IMAGES)


@pytest.mark.filterwarnings("ignore::qnn.errors.QnnWarning")
@pytest.mark.parametrize("name", ["boxes in place", "a shift into zeros", "four phases", "numbers"])
def test_written_parts_are_the_same_integers_everywhere(name):
    check_integers(Writing(FORMS[name]).eval(), IMAGES, 45)


def test_phases_that_are_written_are_four_layers_and_not_one_for_each_pixel():
    pooled = Writing(lambda y, x: F.avg_pool2d(four_phases(y, x), 2))
    nodes = capture(pooled.eval(), IMAGES).nodes
    assert len(nodes) < 20


@pytest.mark.skipif(not WRITES_TO_CONSTANTS, reason="this release of PyTorch cannot trace it")
def test_a_large_constant_that_is_written_to_is_refused_in_one_line():
    noise = torch.rand(8, 97, 89)

    def kept(y, x):
        out = noise.expand(len(y), -1, -1, -1).clone()
        out[:, :2] = y[:, :2]
        return out.relu()

    with pytest.raises(ModelError) as caught:
        capture(Writing(kept).eval(), torch.randn(1, 3, 97, 89))
    # The line is that of the form's call.
    assert re.sub(r"\.py:\d+", ".py", str(caught.value)) == (
        "model (aten.slice_scatter, test_writes.py) needs a small constant that is the same for "
        "all images, not one of shape (2, 8, 97, 89); write what is computed from the input, or "
        "fewer numbers"
    )


def test_a_place_that_is_computed_is_refused_in_one_line():
    def by_images(y, x):
        # A row and not a number, for which newer releases of PyTorch mask instead.
        y[x[:, 0, 0, 0] > 0] = torch.ones(y.shape[-1])
        return y

    with pytest.raises(ModelError) as caught:
        capture(Writing(by_images).eval(), IMAGES)
    assert re.sub(r"\.py:\d+", ".py", str(caught.value)) == (
        "model (aten.index_put, test_writes.py) needs places that are constants, not computed "
        "ones; write by torch.where"
    )
