import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qnn.ptq.given.weights import exact_terms
from qnn.quant import pow2
from qnn.quant.search_exponent import search_exponent


@given(
    st.lists(st.integers(-127, 127), min_size=1, max_size=20),
    st.integers(-8, 8),
    st.sampled_from([3, 4, 5]),
)
def test_whole_numbers_of_eight_bits_have_codes(integers, places, bits):
    weight = torch.tensor([integers], dtype=torch.float64) * 2.0**places
    (terms,) = exact_terms(weight, bits)
    exponent = search_exponent(weight, bits, terms)
    found = pow2.values(pow2.nearest(weight, exponent, bits, terms), exponent, bits)
    assert torch.equal(found, weight)
    assert terms <= 5


@pytest.mark.parametrize(
    ("weights", "terms"),
    [([[0, 0]], (1,)), ([[1, -4], [3, 1]], (1, 2)), ([[5, 0], [127, 85]], (2, 4))],
)
def test_each_channel_has_the_fewest_terms(weights, terms):
    assert exact_terms(torch.tensor(weights, dtype=torch.float64), 3) == terms


def test_weights_that_are_on_no_grid_have_none():
    assert exact_terms(torch.tensor([[1.0, 2.0], [0.1, 0.7]]).double(), 3) is None
