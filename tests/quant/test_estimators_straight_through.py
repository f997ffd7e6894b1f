import pytest
import torch

from qnn.quant import pow2
from qnn.quant.estimators import estimator

W = torch.tensor([[0.3, -0.8, 1.0, 1.01, -1.25, 1.26, -2.0, 0.0]], dtype=torch.float64)
EXPONENT = torch.tensor([0])


def gradient(name, terms):
    w = W.clone().requires_grad_()
    result = estimator(name)(3, terms)(w, EXPONENT)
    incoming = torch.arange(1.0, 9.0, dtype=torch.float64)[None]
    result.backward(incoming)
    return result.detach(), (w.grad / incoming)[0].tolist()


@pytest.mark.parametrize("terms", [1, 2])
@pytest.mark.parametrize("name", ["straight_through", "clipped_straight_through"])
def test_values_are_the_nearest_ones(name, terms):
    result, _ = gradient(name, terms)
    indices = pow2.nearest(W, EXPONENT, 3, terms)
    assert torch.equal(result, pow2.values(indices, EXPONENT, 3))


@pytest.mark.parametrize("terms", [1, 2])
def test_the_gradient_passes_everywhere(terms):
    assert gradient("straight_through", terms)[1] == [1.0] * 8


@pytest.mark.parametrize(
    ("terms", "passed"), [(1, [1, 1, 1, 0, 0, 0, 0, 1]), (2, [1, 1, 1, 1, 1, 0, 0, 1])]
)
def test_the_clipped_gradient_passes_within_the_reach_of_the_grid(terms, passed):
    assert gradient("clipped_straight_through", terms)[1] == passed


def test_the_clip_is_that_of_each_channel():
    w = torch.tensor([[0.6], [0.6]], requires_grad=True)
    estimator("clipped_straight_through")(3)(w, torch.tensor([-1, 0])).sum().backward()
    assert w.grad.tolist() == [[0.0], [1.0]]
