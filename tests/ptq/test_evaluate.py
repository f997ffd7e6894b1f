"""What the rounding of one layer alone costs, whatever the formats' biases and roundings are."""

import pytest
import torch
from torch import nn

from qnn.ptq.compare import TestSet
from qnn.ptq.evaluate import Format, evaluate
from qnn.tasks.kinds import TaskKind


@pytest.fixture
def measured():
    """A function that evaluates one network with mean-shifting weights by given options."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        layers = (nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 2))
        model = nn.Sequential(*layers).eval()
        images = torch.randn(64, 3, 6, 6) + 1
    test = TestSet((images,), (None,), (TaskKind.REGRESSION,))
    return lambda **options: evaluate(model, images, test, [Format(2, 1)], **options)


def test_layers_alone_do_not_pay_for_biases_that_all_of_them_need(measured):
    corrected, plain = (measured(bias_correction=value) for value in (True, False))
    assert corrected.formats != plain.formats
    assert (corrected.layers, corrected.unrounded) == (plain.layers, plain.unrounded)


def test_activations_alone_cost_least_with_a_rounding_that_learns(measured):
    found = measured(rounding="gptq")
    assert found.unrounded == measured().unrounded
    assert found.layers != measured().layers
    for each in found.layers:
        assert each.decibels[0] < found.unrounded.decibels[0] - 10
