"""Mixers: layers over the pixels of a channel, between layers over the channels of a pixel."""

import torch
import torch.nn.functional as F
from torch import nn

from qnn.frontend.capture import capture
from qnn.frontend.fuse import fuse
from tests.frontend.checks import check_floats

IMAGES = torch.randn(3, 3, 12, 12, generator=torch.Generator().manual_seed(1))


class Mixer(nn.Module):
    """A layer over 9 patches and back, on each of 16 channels."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.patches = nn.Conv2d(3, 16, 4, 4)
        self.tokens, self.back = nn.Linear(9, 20), nn.Linear(20, 9)
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        x = self.patches(x).flatten(2)
        x = (x + self.back(F.gelu(self.tokens(x)))).transpose(1, 2)
        return self.head(x).mean(1)


def test_a_layer_over_pixels_is_what_pytorch_has():
    check_floats(Mixer().eval(), IMAGES)


def test_a_layer_over_pixels_holds_its_weights_once_for_each_channel():
    fused = fuse(capture(Mixer().eval(), IMAGES), checked=True)
    most = max(conv.weight.numel() for conv in fused.convs if conv.name.startswith(("tok", "back")))
    # Copies of pixels out of all channels would have 16 times as many.
    assert most == 16 * 9 * 20
    assert sum(conv.weight.numel() for conv in fused.convs) < 3 * most
