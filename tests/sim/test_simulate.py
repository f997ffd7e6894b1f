"""What a user gets from a design: the model's own results, from the model's own inputs."""

import numpy as np
import pytest
import torch
from torch import nn

import qnn
from qnn.ir.encode import encode_input
from tests.nearest import quantize


@pytest.fixture(scope="module")
def perceptron():
    """A quantized network of vectors, what it takes, and its design."""
    torch.manual_seed(0)
    x = torch.randn(20, 13)
    layers = nn.Linear(13, 9), nn.BatchNorm1d(9), nn.ReLU(), nn.Linear(9, 3)
    quantized = quantize(nn.Sequential(*layers), x)
    return quantized, x, qnn.compile(qnn.export(quantized), "test")


@pytest.mark.parametrize("device", ["reference", "functional"])
def test_a_network_of_vectors_takes_and_gives_what_the_model_does(perceptron, device):
    quantized, x, design = perceptron
    result = qnn.simulate(design, x[:5], device)
    with torch.no_grad():
        wanted = quantized(x[:5]).double().numpy()
    np.testing.assert_array_equal(result.outputs[0] * 2.0 ** -result.exponents[0], wanted)


def test_vectors_may_be_integers_already(perceptron):
    _, x, design = perceptron
    encoded = encode_input(design.graph, x)
    assert encoded.shape == (20, 13, 1, 1)
    np.testing.assert_array_equal(encode_input(design.graph, encoded[:, :, 0, 0]), encoded)


def test_every_layer_of_a_network_of_vectors_is_verified(perceptron):
    _, x, design = perceptron
    report = qnn.verify(design, x[:2], "functional")
    assert report.passed, str(report)
    assert report.values_compared == 2 * (9 + 3 + 3)  # both layers, and the stored output
