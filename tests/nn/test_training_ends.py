"""Losses see the same of a quantized network as of its float one, whatever both end with."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import qnn
from qnn.nn.training.outputs import all_outputs
from qnn.ptq.compare import TestSet
from tests.frontend.test_odd_models import Made
from tests.nearest import quantize

RECIPE = qnn.Recipe(steps=3, batch=8, rate=1e-3)
ENDS = {
    "softmax": (lambda y: y.softmax(1), lambda y, label: F.nll_loss(y.log(), label)),
    "log_softmax": (lambda y: y.log_softmax(1), F.nll_loss),
    "nothing": (lambda y: y, F.cross_entropy),
}


def samples(count=24):
    x = torch.randn(count, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    return x, (x.mean((1, 2, 3)) > 0).long()


def classifier(end):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layer = nn.Sequential(nn.Flatten(), nn.Linear(48, 2))
    return Made(lambda m, x: end(m.layer(x)), layer=layer).eval()


def trained(end, **given):
    """The weights, and the loss, of a quantized classifier after a few steps."""
    model, (x, y) = classifier(end), samples()
    quantized = quantize(model, x, weight_bits=4, bias_correction=False)
    teacher = model if given.pop("taught", False) else None
    report = qnn.train(quantized, (x, y), RECIPE, teacher=teacher, **given)
    return quantized.state_dict(), report.loss


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("taught", [False, True], ids=["own loss", "float teacher"])
def test_what_a_network_ends_with_changes_nothing_of_what_it_learns(name, taught):
    (weights, loss), (plain, plain_loss) = (
        trained(ENDS[each][0], taught=taught, loss=None if taught else ENDS[each][1])
        for each in (name, "nothing")
    )
    assert loss == pytest.approx(plain_loss, rel=1e-4)
    assert loss > 0
    for key, wanted in plain.items():
        torch.testing.assert_close(weights[key], wanted, rtol=1e-4, atol=1e-5)


def test_a_quantized_network_gives_in_training_what_it_gives_in_evaluation():
    x, _ = samples()
    for end, _loss in ENDS.values():
        quantized = quantize(classifier(end), x, weight_bits=4)
        wanted = quantized(x)
        found = quantized.train()(x)
        torch.testing.assert_close(found, wanted.float())
        found.square().sum().backward()
        assert any(p.grad is not None and p.grad.abs().max() > 0 for p in quantized.parameters())


def test_classes_that_a_float_teacher_chooses_are_labels():
    chosen = trained(lambda y: y.argmax(1), taught=True)
    (x, _), model = samples(), classifier(lambda y: y)
    quantized = quantize(model, x, weight_bits=4, bias_correction=False)
    report = qnn.train(quantized, (x, model(x).argmax(1)), RECIPE)
    assert chosen[1] == pytest.approx(report.loss)


def readers():
    """A network that reads columns: classes of each, (columns, batch, classes)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 1))
    return Made(lambda m, x: m.body(x).mean(2).permute(2, 0, 1), body=body).eval()


def ctc(outputs, labels):
    columns, images, _ = outputs.shape
    sizes = torch.full((images,), columns), torch.full((images,), labels.shape[1])
    return F.ctc_loss(outputs.log_softmax(2), labels, *sizes)


def test_images_on_another_axis_learn_from_labels_and_from_a_teacher():
    model = readers()
    x, words = samples()[0], torch.ones(24, 2, dtype=torch.long)
    quantized = quantize(model, x, weight_bits=4)
    float_report = qnn.train(copy.deepcopy(model), (x, words), RECIPE, loss=ctc)
    report = qnn.train(copy.deepcopy(quantized), (x, words), RECIPE, loss=ctc)
    assert report.loss == pytest.approx(float_report.loss, rel=0.05)
    student = copy.deepcopy(quantized)
    taught = qnn.train(student, x, qnn.Recipe(steps=20, batch=8, rate=1e-3), teacher=model)
    # The distance from the float network's own answers: near to nothing.
    assert taught.loss < 1e-3
    # The class of each column, in the order (images, columns).
    labels = model(x).argmax(2).T
    tested = qnn.train(student, (x, labels), RECIPE, validation=(x, labels)).test
    assert tested["accuracy"] > 90


def test_images_on_another_axis_are_joined_and_measured_along_it():
    model, x = readers(), samples()[0]
    with torch.no_grad():
        wanted = model(x).numpy()
    (found,) = all_outputs(model, x, 7, axes=(1,))
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    test = TestSet.of(model, qnn_data(x, model(x).argmax(2).T), None, (None, None))
    (scores,) = test.outputs(model)
    np.testing.assert_allclose(scores, wanted.transpose(1, 2, 0), atol=1e-6)
    compared = test.compared(model, quantize(model, x, weight_bits=4, terms=3))
    assert (compared["task"], compared["float_accuracy"]) == ("pixels", 100)
    assert compared["quantized_accuracy"] > 95


def test_images_on_another_axis_are_evaluated_in_each_format():
    model, x = readers(), samples()[0]
    found = qnn.evaluate(model, x, (x, None), [(4, 2), (4, 4)])
    assert [each.decibels[0] > 30 for each in found.formats] == [True, True]


def qnn_data(x, y):
    from qnn.nn.data import Dataset

    return Dataset(x, y, x, y)
