"""What a network's values are large or small by changes nothing of what it learns."""

import pytest
import torch
from torch import nn

from qnn.nn.learn import learnable
from qnn.nn.training import Recipe, train
from qnn.nn.training.rates import optimizer_for
from qnn.nn.training.sizes import _deviation, sizes
from tests.nearest import quantize

COUNT = 400


def network(seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 2))


def trained(scale):
    """The losses on images held out, where the last layer is so many times as large."""
    model = network().eval()
    with torch.no_grad():
        for parameter in model[-1].parameters():
            parameter.mul_(scale)
    x = torch.randn(COUNT, 6, generator=torch.Generator().manual_seed(0))
    quantized = quantize(model, x, weight_bits=2)
    recipe = Recipe(steps=60, batch=32)
    report = train(quantized, x, recipe, teacher=model, task="regression").held_out
    return report.before, report.after


@pytest.mark.parametrize("scale", [2.0**-20, 2.0**10])
def test_values_of_any_size_learn_alike(scale):
    before, after = trained(1.0)
    assert after < 0.9 * before
    # But for the epsilon of Adam, which is no part of a gradient of usual size.
    assert trained(scale) == pytest.approx((before, after), rel=0.02)


@pytest.mark.parametrize(
    ("moments", "size"),
    [((0, 0, 0), 1.0), ((9, 0, 0), 1.0), ((4, 8, 16), 1.0), ((2, 0, 18), 3.0)],
)
def test_no_results_and_those_that_are_all_alike_have_size_one(moments, size):
    assert _deviation(torch.tensor(moments, dtype=torch.float64)) == size


def test_biases_before_a_table_are_of_its_functions_size_and_others_of_their_results():
    model = nn.Sequential(nn.Linear(6, 8), nn.Sigmoid(), nn.Linear(8, 2)).eval()
    with torch.no_grad():
        model[2].weight.mul_(1000)
    x = torch.randn(COUNT, 6, generator=torch.Generator().manual_seed(0))
    quantized = quantize(model, x, weight_bits=3, task="regression")
    found = sizes(quantized, quantized, lambda network: network(x), lambda tensors: None)
    first, last = (conv for _, conv in learnable(quantized))
    assert found.keys() == {first.bias, last.bias}
    assert found[first.bias] == 1.0
    with torch.no_grad():
        assert found[last.bias] == pytest.approx(float(quantized(x).std(correction=0)), rel=1e-5)


def test_vectors_of_one_size_share_a_group_and_its_rate_is_in_their_unit():
    one, two, three = (nn.Parameter(torch.zeros(3)) for _ in range(3))
    named = [("one", one), ("two", two), ("three", three)]
    optimizer = optimizer_for(
        named, Recipe(rate=1e-3, norm_rate=2.0), True, {one: 0.5, two: 8.0, three: 0.5}
    )
    found = {group["scale"]: len(group["params"]) for group in optimizer.param_groups}
    assert found == {1.0: 2, 16.0: 1}
