"""Utilisation counts what the user's network multiplies, not what lowering puts beside it."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from qnn.ptq.export import export
from tests.nearest import quantize

# Every example has a normalisation, which few of them use.
pytestmark = pytest.mark.filterwarnings("ignore:weights of 'norm':qnn.errors.QnnWarning")


class Made(nn.Module):
    """A convolution, then a function of its result and of the image."""

    def __init__(self, function):
        super().__init__()
        self.function, self.conv, self.norm = function, nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x):
        return self.function(self, x, self.conv(x))


def macs(function, **options) -> dict[str, int]:
    """Products of each tensor, by name."""
    torch.manual_seed(0)
    graph = export(quantize(Made(function), torch.randn(4, 4, 6, 6), **options))
    return {node.name: node.macs for node in graph.nodes}


@pytest.mark.parametrize(
    "function",
    [
        lambda m, x, y: F.avg_pool2d(y, 2),
        lambda m, x, y: F.avg_pool2d(y, 3),
        lambda m, x, y: y.mean((2, 3)),
        lambda m, x, y: F.pad(y[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2)),
        lambda m, x, y: F.pad(y, (1, 1, 0, 0)),
        lambda m, x, y: y.relu() + y,
        lambda m, x, y: m.norm(y.relu()),
        lambda m, x, y: m.norm(F.max_pool2d(y, 2)),
        lambda m, x, y: torch.cat([x.flatten(1), y.flatten(1)], 1),
        lambda m, x, y: (y, x),
    ],
)
@pytest.mark.parametrize("options", [{}, {"weight_bits": 2}, {"weight_bits": 5, "terms": 2}])
def test_what_copies_adds_or_scales_counts_none(function, options):
    found = macs(function, **options)
    assert found.pop("conv") == 4 * 4 * 9 * 16
    assert len(found) > 1
    assert set(found.values()) == {0}


def test_rows_that_nobody_takes_are_not_computed():
    assert macs(lambda m, x, y: y[:, :, ::2])["conv"] == 4 * 4 * 9 * 8


@pytest.mark.parametrize(
    ("layer", "products"),
    [
        (nn.Conv2d(4, 8, 1), 4 * 8 * 36),
        (nn.Conv2d(4, 4, 3, groups=4), 9 * 4 * 16),
        (nn.Conv2d(4, 8, (1, 2), groups=2), 2 * 2 * 8 * 30),
        (nn.Sequential(nn.Flatten(), nn.Linear(144, 3)), 144 * 3),
    ],
)
def test_layers_of_the_network_count_whatever_their_form(layer, products):
    torch.manual_seed(1)
    graph = export(quantize(layer, torch.randn(4, 4, 6, 6)))
    assert graph.nodes[-1].macs == products
