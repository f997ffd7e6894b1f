"""A dense autoencoder on its grid, as of MLPerf Tiny but narrower: defaults make it no worse."""

import copy
from itertools import pairwise

import pytest
import torch
from torch import nn

from qnn.errors import ModelError
from qnn.nn.training import Recipe, train
from tests.nearest import quantize

WIDTHS = (64, 24, 4, 24, 64)


@pytest.fixture(scope="module")
def trained():
    """The float network, images that it learnt, and others."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        x = torch.tanh(torch.randn(1000, 4)) @ torch.randn(4, 64) + 0.1 * torch.randn(1000, 64) + 5
        layers = []
        for inputs, outputs in pairwise(WIDTHS):
            layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU()]
        model = nn.Sequential(*layers[:-2])
    train(model, x[:800], Recipe(epochs=20, batch=32, rate=1e-2))
    return model, x[:800], x[800:]


@pytest.mark.filterwarnings("ignore::qnn.errors.QnnWarning")
@pytest.mark.parametrize("taught", [True, False], ids=["teacher", "its inputs"])
@pytest.mark.parametrize("bits", [2, 3])
def test_defaults_leave_an_autoencoder_no_farther_from_what_it_is_taught(trained, taught, bits):
    model, x, others = trained
    quantized = quantize(model, x, rounding="auto", weight_bits=bits)

    def error(network):
        with torch.no_grad():
            wanted = model(others) if taught else others
            return float((network(others) - wanted).square().mean())

    learnt = copy.deepcopy(quantized)
    report = train(learnt, x, Recipe(steps=100), teacher=model if taught else None)
    assert report.task == "reconstruction"
    # Of other images than those that judged.
    assert error(learnt) < 1.1 * error(quantized)


def test_an_autoencoders_biases_alone_learn_to_bring_it_nearer(trained):
    model, x, others = trained
    # "auto" leaves next to nothing for biases alone.
    quantized = quantize(model, x, rounding="gptq")

    def error(network):
        with torch.no_grad():
            return float((network(others) - model(others)).square().mean())

    before = error(quantized)
    report = train(quantized, x, Recipe(steps=200, grid_rate=0.0), teacher=model)
    assert report.held_out.kept
    assert error(quantized) < before


@pytest.mark.filterwarnings("ignore::qnn.errors.QnnWarning")
@pytest.mark.parametrize("taught", [True, False], ids=["teacher", "its inputs"])
def test_labels_of_anomalies_teach_an_autoencoder_nothing(trained, taught):
    model, x, _ = trained
    teacher, rounded = model if taught else None, quantize(model, x)
    labels = torch.arange(len(x)) % 2
    recipe = Recipe(steps=30)
    with pytest.raises(ModelError, match="leave open whether 64 outputs"):
        train(rounded, (x, labels), recipe, teacher=teacher)
    results = []
    for data in (x, (x, labels)):
        learnt = copy.deepcopy(rounded)
        report = train(learnt, data, recipe, teacher=teacher, task="reconstruction")
        results.append((report.held_out, learnt(x)))
    (one, first), (other, second) = results
    assert one == other
    assert torch.equal(first, second)
