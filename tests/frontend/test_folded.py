"""Frames and crops that users fold into the batch, and unfold behind a layer."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from qnn.errors import ModelError
from qnn.frontend.capture import capture
from tests.frontend.checks import check_floats, check_integers

# Each form uses a few of the layers.
pytestmark = pytest.mark.filterwarnings("ignore:weights of '")
FRAMES = torch.randn(3, 4, 3, 6, 8, generator=torch.Generator().manual_seed(1))


class OfFrames(nn.Module):
    """Layers that are called on all frames of all images at once."""

    def __init__(self, form):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.norm.running_mean.uniform_(-1, 1)
        self.pool, self.head = nn.AdaptiveAvgPool2d(1), nn.Linear(8, 5)
        self.steps, self.form = nn.GRU(8, 6, batch_first=True), form

    def forward(self, x):
        return self.form(self, x)


def consensus(m, x):
    y = m.pool(m.norm(m.conv(x.view(-1, 3, 6, 8))).relu()).flatten(1)
    return m.head(y).view(len(x), 4, -1).mean(1)


def recurrent(m, x):
    y = F.max_pool2d(F.silu(m.conv(x.flatten(0, 1))), 2).mean((2, 3))
    return m.steps(y.unflatten(0, (len(x), 4)))[0][:, -1]


def frames_first(m, x):
    y = m.norm(m.conv(x.transpose(0, 1).reshape(-1, 3, 6, 8)))
    return m.pool(y).view(4, -1, 8).mean(0)


def residual(m, x):
    y = m.conv(x.flatten(0, 1))
    y = torch.cat([y, y.relu() + F.avg_pool2d(y, 3, 1, 1)], 1)
    return y.unflatten(0, (-1, 4)).amax(1).mean((2, 3))


def shared_over_channels(m, x):
    y = m.conv(x[:, 0])
    blurred = F.conv2d(y.reshape(-1, 1, 6, 8), torch.full((1, 1, 3, 3), 0.125), padding=1)
    return blurred.view(len(x), 8, 6, 8)


def two_in_one_batch(m, x):
    y = m.pool(m.conv(torch.cat([x[:, 0], x[:, 1]], 0)).relu()).flatten(1)
    one, other = y.chunk(2, 0)
    return (one - other).abs()


FORMS = {
    "a consensus of frames": consensus,
    "a recurrent layer behind frames": recurrent,
    "frames before images": frames_first,
    "residual and joined frames": residual,
    "a filter for each channel": shared_over_channels,
    "two images in one batch": two_in_one_batch,
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_layers_of_frames_in_the_batch_are_what_pytorch_has(form):
    check_floats(OfFrames(form).eval(), FRAMES)


@pytest.mark.parametrize("name", ["a consensus of frames", "two images in one batch"])
def test_frames_in_the_batch_are_the_same_integers_everywhere(name):
    check_integers(OfFrames(FORMS[name]).eval(), FRAMES, 45)


def test_images_that_are_mixed_are_refused_as_before():
    def form(m, x):
        return m.conv(x.view(-1, 3, 6, 8)).view(4, len(x), 8, 6, 8).softmax(1).flatten(2)

    with pytest.raises(ModelError) as caught:
        capture(OfFrames(form).eval(), FRAMES)
    assert "needs to keep the batch as the first axis" in str(caught.value)
