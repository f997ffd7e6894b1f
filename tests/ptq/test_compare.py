"""A network that ends in an argmax is measured by the classes that it names."""

import pytest
import torch
from torch import nn

from qnn.nn.data import Dataset
from qnn.ptq.compare import TestSet
from tests.frontend.test_odd_models import Made
from tests.nearest import quantize

CHOICES = {
    "classes": (lambda m, x: m.a(x.flatten(1)).argmax(1), "classes"),
    "the best of topk": (lambda m, x: m.a(x.flatten(1)).topk(1).indices, "classes"),
    "pixels": (lambda m, x: m.a(x).argmax(1), "pixels"),
    "pixels with an axis": (lambda m, x: m.a(x).argmax(1, keepdim=True), "pixels"),
    "pixels with channels last": (
        lambda m, x: m.a(x).permute(0, 2, 3, 1).argmax(-1),
        "pixels",
    ),
}


@pytest.mark.parametrize("name", CHOICES)
def test_a_network_that_names_classes_is_measured_by_them(name):
    choose, task = CHOICES[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layer = nn.Linear(108, 4) if task == "classes" else nn.Conv2d(3, 4, 3, padding=1)
        model = Made(choose, a=layer).eval()
        x = torch.randn(16, 3, 6, 6)
    y = model(x).reshape(16, 6, 6) if task == "pixels" else model(x).reshape(16)
    quantized = quantize(model, x, weight_bits=3, terms=2)
    test = TestSet.of(model, Dataset(x, y, x, y), None, (None, None))
    found = test.compared(model, quantized)
    assert (found["task"], found["float_accuracy"]) == (task, 100.0)
    same = (quantized(x).reshape(y.shape) == y).double().mean().item()
    assert found["quantized_accuracy"] == pytest.approx(100 * same)
    assert same > 0.7


def test_a_test_set_sorted_by_class_is_measured_on_all_classes():
    x, y = torch.randn(400, 3, 6, 6), torch.arange(4).repeat_interleave(100)
    model = nn.Sequential(nn.Flatten(), nn.Linear(108, 4)).eval()
    test = TestSet.of(model, Dataset(x, y, x, y), 40, (None, None))
    (labels,) = test.labels
    assert len(labels) == len(test.inputs[0]) == 40
    assert {int(label) for label in labels} == {0, 1, 2, 3}
    # Still each with its own label.
    for one, label in zip(test.inputs[0], labels, strict=True):
        (place,) = (x == one).flatten(1).all(1).nonzero()
        assert int(y[place]) == int(label)
