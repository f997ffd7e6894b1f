import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from qnn.nn.ghost import ghost_batch_norm, ghosts


def test_ghosts_normalise_each_group_and_move_statistics_once():
    x = torch.randn(8, 3, 2, 2, generator=torch.Generator().manual_seed(0)) * 3 + 1
    mean, var = torch.zeros(3), torch.ones(3)
    result = ghost_batch_norm(x, mean, var, None, None, 4, 0.1, 1e-5)
    for part, got in zip(x.split(4), result.split(4), strict=True):
        torch.testing.assert_close(got, F.batch_norm(part, None, None, training=True))
    means = torch.stack([part.mean((0, 2, 3)) for part in x.split(4)])
    spreads = torch.stack([part.transpose(0, 1).flatten(1).var(1) for part in x.split(4)])
    torch.testing.assert_close(mean, 0.1 * means.mean(0))
    torch.testing.assert_close(var, 0.9 + 0.1 * spreads.mean(0))


@pytest.mark.parametrize(("count", "group"), [(8, None), (8, 8), (8, 20), (9, 4)])
def test_ghosts_of_any_size_are_finite(count, group):
    x = torch.randn(count, 3, generator=torch.Generator().manual_seed(0))
    result = ghost_batch_norm(x, torch.zeros(3), torch.ones(3), None, None, group, 0.1, 1e-5)
    assert result.shape == x.shape
    assert result.abs().max() < math.sqrt(count)


@pytest.mark.parametrize("momentum", [0.1, None])
def test_modules_are_ghosts_inside_the_block_only(momentum):
    model = nn.Sequential(nn.BatchNorm2d(3, momentum=momentum))
    x = torch.randn(8, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    plain = model(x)
    with ghosts(model, 4):
        torch.testing.assert_close(model(x)[:4], F.batch_norm(x[:4], None, None, training=True))
        assert int(model[0].num_batches_tracked) == 2
        inside = copy.deepcopy(model).eval()
    torch.testing.assert_close(model(x), plain)
    assert "forward" not in model[0].__dict__
    torch.testing.assert_close(inside(x[:1])[0], inside(x)[0])
