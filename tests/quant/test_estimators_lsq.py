import math

import pytest
import torch

from qnn.quant import pow2
from qnn.quant.estimators import estimator

W = torch.tensor([[0.3, -0.8, 1.2, 0.05], [0.2, -0.24, 0.1, 3.0]], dtype=torch.float64)
EXPONENT = torch.tensor([0, -2])


def started(terms=1):
    made = estimator("lsq")(3, terms)
    made.begin(W, EXPONENT)
    return made


def test_the_scale_starts_from_the_exponent_and_is_rounded():
    made = started()
    assert torch.equal(made(W, EXPONENT), pow2.snap(W, EXPONENT, 3))
    with torch.no_grad():
        made.log_scale.copy_(torch.tensor([1.4, -2.6]))
    moved = torch.tensor([1, -3])
    assert torch.equal(made(W, EXPONENT), pow2.snap(W, moved, 3))
    indices, exponent = made.codes(W, EXPONENT)
    assert torch.equal(exponent, moved)
    assert torch.equal(indices, pow2.nearest(W, moved, 3))


@pytest.mark.parametrize(("terms", "positive_levels"), [(1, 3), (2, 17), (3, 77)])
def test_gradients_are_those_of_the_paper(terms, positive_levels):
    assert len(pow2.grid(3, terms)[0]) - 1 == positive_levels
    made, w = started(terms), W.clone().requires_grad_()
    gradient = torch.tensor([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]], dtype=torch.float64)
    made(w, EXPONENT).backward(gradient)
    scale = pow2.exp2(EXPONENT)[:, None]
    inside = W.abs() / scale <= sum(4.0**-term for term in range(terms))
    assert torch.equal(w.grad, gradient * inside)
    level = pow2.snap(W, EXPONENT, 3, terms) / scale  # g(w / s)
    slope = torch.where(inside, level - W / scale, level)  # of w_hat by s
    by_scale = (gradient * slope).sum(1) / math.sqrt(4 * positive_levels)
    expected = by_scale * scale[:, 0] * math.log(2)
    assert torch.allclose(made.log_scale.grad.double(), expected)


def test_clipped_weights_have_a_true_derivative_by_the_scale():
    w = torch.tensor([[5.0, -9.0]], dtype=torch.float64)
    made = estimator("lsq")(3)
    made.begin(w, torch.tensor([1]))
    made(w, torch.tensor([1])).backward(torch.tensor([[1.0, -1.0]], dtype=torch.float64))
    step = 1e-6
    slope = 2 * (2.0 ** (1 + step) - 2.0 ** (1 - step)) / (2 * step)
    assert float(made.log_scale.grad) == pytest.approx(slope / math.sqrt(2 * 3), rel=1e-5)


def test_the_scale_grows_where_larger_weights_are_wanted():
    w = torch.full((1, 16), 3.0)
    made = estimator("lsq")(3)
    made.begin(w, torch.tensor([0]))
    optimizer = torch.optim.SGD(made.parameters(), lr=0.1)
    for _ in range(50):
        optimizer.zero_grad()
        (made(w, torch.tensor([0])) - 4).square().sum().backward()
        optimizer.step()
    assert made.codes(w, torch.tensor([0]))[1].tolist() == [2]
