"""Attention over channels and pooling by attention are products, sums and matrices."""

import pytest
import torch
from torch import nn

from qnn.errors import ModelError
from qnn.frontend.capture import capture
from qnn.frontend.expansions_of_views import is_small
from qnn.frontend.fuse import fuse
from tests.frontend.checks import check_floats, check_integers


class Channels(nn.Module):
    """ECA's gates: a convolution along the channels of a mean over space."""

    def __init__(self, **options):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.conv = nn.Conv1d(1, 1, 3, **options)

    def forward(self, x):
        x = self.first(x)
        y = self.conv(x.mean((2, 3)).view(len(x), 1, -1)).sigmoid()
        return x * y.view(len(x), -1, 1, 1)


class Context(nn.Module):
    """A sum over places, weighted by softmaxes: a global context has one, others have more."""

    def __init__(self, heads, turned=False):
        super().__init__()
        self.first, self.weights = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, heads, 1)
        self.turned = turned

    def forward(self, x):
        x = self.first(x)
        weights = self.weights(x).flatten(2).softmax(-1)
        if self.turned:
            return torch.bmm(weights, x.flatten(2).transpose(1, 2))
        return x.flatten(2) @ weights.transpose(1, 2)


class Places(nn.Module):
    """Attention of several heads over the places of a sequence, written as products."""

    def __init__(self, heads):
        super().__init__()
        self.heads = heads
        self.given = nn.Linear(8, 24)
        self.result = nn.Linear(8, 8)

    def forward(self, x):
        x = x.flatten(1).unflatten(1, (-1, 12))[:, :8].transpose(1, 2)
        parts = self.given(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        q, k, v = parts.unbind()
        weights = torch.softmax(q @ k.transpose(2, 3) * q.shape[-1] ** -0.5, -1)
        return self.result((weights @ v).transpose(1, 2).flatten(2))


CASES = {
    "places": lambda: Places(1),
    "places of heads": lambda: Places(2),
    "channels": lambda: Channels(padding=1, bias=False),
    "channels with a bias": lambda: Channels(padding="same"),
    "context": lambda: Context(1),
    "context of heads": lambda: Context(3),
    "context turned round": lambda: Context(3, turned=True),
}


@pytest.mark.parametrize("name", CASES)
def test_attention_is_what_the_model_computes(name):
    torch.manual_seed(1)
    model, images = CASES[name]().eval(), torch.randn(8, 3, 6, 6)
    check_floats(model, images)
    check_integers(model, images, decibels=35)


def test_a_convolution_along_channels_is_one_layer():
    fused = fuse(capture(Channels(padding=1).eval(), torch.randn(1, 3, 6, 6)))
    kinds = [node.kind for node in fused.nodes]
    assert kinds == ["input", "conv", "conv", "conv", "multiply"]


def test_a_product_of_two_large_matrices_is_refused():
    class Image(nn.Module):
        def forward(self, x):
            x = x.flatten(2)
            return x.transpose(1, 2) @ x

    with pytest.raises(ModelError, match="needs one operand to be a constant, not two that are"):
        capture(Image().eval(), torch.randn(1, 3, 9, 9))


def test_few_channels_of_many_places_are_no_small_product():
    # Attention over 400 places with 64 channels, whose first product has too many columns as well.
    assert not is_small(torch.Size((1, 4, 400, 32)), torch.Size((1, 4, 32, 400)))
    assert not is_small(torch.Size((1, 4, 64, 400)), torch.Size((1, 4, 400, 400)))
    # Over as many places as may be, with as many channels as any network has.
    assert is_small(torch.Size((1, 64, 64)), torch.Size((1, 64, 1024)))
