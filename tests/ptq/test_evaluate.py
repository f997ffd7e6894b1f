"""What the rounding of one layer alone costs, whatever the formats' biases and roundings are."""

import pytest
import torch
from torch import nn

import qnn
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


def test_a_network_is_evaluated_on_samples_and_labels_from_python():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3)).eval()
        x = torch.randn(64, 6)
    with torch.no_grad():
        y = model(x).argmax(1)
    found = qnn.evaluate(model, x, (x, y), [(2, 1), (3, 3)])
    assert found.float_numbers == ({"accuracy": 100.0},)
    assert ([each.name for each in found.formats], found.samples) == (["2x1", "3x3"], 64)
    narrow, wide = (each.numbers[0]["accuracy"] for each in found.formats)
    assert narrow < wide
    # Without labels outputs are compared with the float model's.
    assert qnn.evaluate(model, x, (x, None), [(3, 1)]).formats[0].decibels[0] > 5
    with pytest.raises(ValueError, match=r"^evaluate needs at least one format") as error:
        qnn.evaluate(model, x, (x, y), [])
    assert str(error.value) == "evaluate needs at least one format, not none; give [(3, 1)]"


def test_activations_alone_cost_least_with_a_rounding_that_learns(measured):
    found = measured(rounding="gptq")
    assert found.unrounded == measured().unrounded
    assert found.layers != measured().layers
    for each in found.layers:
        assert each.decibels[0] < found.unrounded.decibels[0] - 10
