import math

import pytest
import torch

from qnn.quant import pow2
from qnn.quant.estimators import estimator


def generator(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("bits", range(2, 6))
@pytest.mark.parametrize("exponent", [-3, 0, 2])
def test_rounding_is_nearest_in_the_logarithm(bits, exponent):
    w = torch.randn(1, 5000, generator=generator(0), dtype=torch.float64) * 2.0**exponent
    most = pow2.most_index(bits)
    shift = (w / 2.0**exponent).abs().log2().round().clamp(1 - most, 0)
    expected = w.sign() * shift.exp2() * 2.0**exponent
    expected[w.abs() < 2.0 ** (exponent - most)] = 0
    made, exponents = estimator("deepshift_q")(bits), torch.tensor([exponent])
    assert torch.equal(made(w, exponents), expected)
    indices, exported = made.codes(w, exponents)
    assert torch.equal(exported, exponents)
    assert torch.equal(pow2.values(indices, exported, bits), expected)


def test_between_the_two_midpoints_the_logarithm_goes_up_and_nearest_down():
    w, exponent = torch.tensor([[0.36, -0.73]]), torch.tensor([0])
    assert estimator("deepshift_q")(3)(w, exponent).tolist() == [[0.5, -1.0]]
    assert pow2.snap(w, exponent, 3).tolist() == [[0.25, -0.5]]


def test_the_gradient_of_q_passes_everywhere():
    w = torch.tensor([[0.01, -0.4, 1.0, 5.0]], requires_grad=True)
    incoming = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    estimator("deepshift_q")(3)(w, torch.tensor([0])).backward(incoming)
    assert torch.equal(w.grad, incoming)


def started(bits=3):
    w = torch.tensor([[0.9, -0.36, 0.1, -0.02, 0.0, 1.7]], dtype=torch.float64)
    exponent = torch.tensor([1])
    made = estimator("deepshift_ps")(bits)
    made.begin(w * 2, exponent)
    return made, w * 2, exponent


def test_signs_and_shifts_start_from_the_weight():
    made, w, exponent = started()
    assert torch.equal(made(w, exponent), pow2.snap(w, exponent, 3))
    assert made.sign[0].tolist() == pytest.approx([1, -1, 0.4, -0.08, 0, 1])
    expected = [math.log2(0.9), -2 + 0.49, -2, -2, -2, 0]
    assert made.shift[0].tolist() == pytest.approx(expected, abs=1e-6)


def test_values_are_sign_and_shift_rounded_and_kept_in_range():
    made, w, exponent = started()
    with torch.no_grad():
        made.sign.copy_(torch.tensor([[-1.7, 0.4, 0.6, -0.6, 1.0, 1.0]]))
        made.shift.copy_(torch.tensor([[-0.4, 0.0, -0.6, -5.0, 3.0, -1.4]]))
    expected = [-2.0, 0.0, 1.0, -0.5, 2.0, 1.0]
    assert made(w, exponent)[0].tolist() == expected
    made.advance(0.5, generator(0))
    assert made(w, exponent)[0].tolist() == expected
    assert made.sign[0].tolist() == pytest.approx([-1, 0.4, 0.6, -0.6, 1, 1])
    assert made.shift[0].tolist() == pytest.approx([-0.4, 0, -0.6, -2, 0, -1.4])


def test_gradients_of_sign_and_shift_are_those_of_the_authors():
    made, w, exponent = started()
    incoming = torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]], dtype=torch.float64)
    value = made(w, exponent)
    value.backward(incoming)
    assert torch.allclose(made.sign.grad.double(), incoming * 2)
    assert torch.allclose(made.shift.grad.double(), incoming * value.detach() * math.log(2))
