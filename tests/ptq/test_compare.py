"""A network that ends in an argmax is measured by the classes that it names."""

import pytest
import torch
from torch import nn

import qnn
from qnn.nn.data import Dataset
from qnn.ptq.compare import TestSet
from tests.frontend.test_odd_models import Made

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
    quantized = qnn.quantize(model, x, weight_bits=3, terms=2)
    test = TestSet.of(model, Dataset(x, y, x, y), None, (None, None))
    found = test.compared(model, quantized)
    assert (found["task"], found["float_accuracy"]) == (task, 100.0)
    same = (quantized(x).reshape(y.shape) == y).double().mean().item()
    assert found["quantized_accuracy"] == pytest.approx(100 * same)
    assert same > 0.7
