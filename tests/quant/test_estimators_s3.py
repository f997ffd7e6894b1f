import itertools
import math

import pytest
import torch

from qnn.quant import pow2
from qnn.quant.estimators import estimator

EXPONENT = torch.tensor([2])


def started(bits, w=None):
    w = torch.linspace(-5, 5, 61, dtype=torch.float64)[None] if w is None else w
    made = estimator("s3")(bits)
    made.begin(w, EXPONENT)
    return made, w


@pytest.mark.parametrize("bits", range(2, 6))
def test_latents_start_from_the_weight_and_are_small(bits):
    made, w = started(bits)
    assert torch.equal(made(w, EXPONENT), pow2.snap(w, EXPONENT, bits))
    for latent in made.parameters():
        sizes = latent.detach().abs()
        assert 2.0**-7 <= float(sizes.min())
        assert float(sizes.max()) <= 1


@pytest.mark.parametrize("bits", range(2, 6))
def test_there_is_one_shift_bit_less_than_levels(bits):
    made, w = started(bits)
    count = pow2.most_index(bits) - 1
    assert (made.shift is None) if count == 0 else (made.shift.shape == (count, *w.shape))


def test_three_bit_values_are_those_of_the_paper():
    cases = list(itertools.product([-0.3, 0.3], repeat=4))
    a, b, c, d = torch.tensor(cases).T
    w = torch.zeros(1, len(cases), dtype=torch.float64)
    made, _ = started(3, w)
    with torch.no_grad():
        made.sign.copy_(a[None])
        made.dense.copy_(b[None])
        made.shift.copy_(torch.stack([d[None], c[None]]))
    expected = [
        math.copysign(1, a) * (b > 0) * 2 ** ((c > 0) * ((d > 0) + 1)) for a, b, c, d in cases
    ]
    assert made(w, EXPONENT)[0].tolist() == expected  # the least step is 2**(e - 2) = 1


def test_every_number_of_shift_bits_is_reached():
    made, w = started(4, torch.ones(1, 7, dtype=torch.float64))
    with torch.no_grad():
        made.shift.fill_(-1)
        for count in range(7):
            made.shift[6 - count :, 0, count] = 1
    assert made(w, EXPONENT)[0].tolist() == [2.0 ** (count - 4) for count in range(7)]


def test_gradients_are_those_of_the_product():
    w = torch.tensor([[-3.9, 2.2, 0.9, 0.3]], dtype=torch.float64)
    made, _ = started(3, w)
    assert made(w, EXPONENT).tolist() == [[-4.0, 2.0, 1.0, 0.0]]
    made(w, EXPONENT).sum().backward()
    sign, dense, power = [-1, 1, 1, 1], [1, 1, 1, 0], [4, 2, 1, 1]
    d, c = [1, 0, 0, 0], [1, 1, 0, 0]
    size = range(4)
    assert made.sign.grad[0].tolist() == [dense[i] * power[i] for i in size]
    assert made.dense.grad[0].tolist() == [sign[i] * power[i] for i in size]
    slope = [sign[i] * dense[i] * power[i] * math.log(2) for i in size]
    assert made.shift.grad[0, 0].tolist() == pytest.approx([slope[i] * c[i] for i in size])
    assert made.shift.grad[1, 0].tolist() == pytest.approx([slope[i] * (d[i] + 1) for i in size])
