import pytest
import torch

from qnn.functions.elementwise import IDENTITY
from qnn.functions.given import PROBES, ROUNDINGS, GivenQuantizer, rounding_of
from qnn.quant.qtype import QType

BY_HAND = {
    "EVEN": [-2, -2, -2, -1, 0, 0, 0, 0, 0, 1, 2, 2, 2],
    "UP": [-2, -2, -1, -1, 0, 0, 0, 0, 1, 1, 2, 2, 3],
    "FLOOR": [-3, -2, -2, -2, -1, -1, 0, 0, 0, 1, 1, 1, 2],
    "CEIL": [-2, -1, -1, -1, 0, 0, 0, 1, 1, 2, 2, 2, 3],
    "ZERO": [-2, -1, -1, -1, 0, 0, 0, 0, 0, 1, 1, 1, 2],
    "DPU": [-2, -2, -1, -1, 0, 0, 0, 0, 0, 1, 2, 2, 2],
    "SIGN": [-1, -1, -1, -1, -1, -1, 1, 1, 1, 1, 1, 1, 1],
}


@pytest.mark.parametrize("name", BY_HAND)
def test_each_rounding_is_what_its_name_says(name):
    assert ROUNDINGS.keys() == BY_HAND.keys()
    assert (ROUNDINGS[name](IDENTITY)(torch.tensor(PROBES)) + 0.0).tolist() == BY_HAND[name]


@pytest.mark.parametrize("name", BY_HAND)
def test_a_rounding_is_known_by_what_it_does(name):
    assert rounding_of(ROUNDINGS[name](IDENTITY)) == name


def test_a_rounding_that_no_name_is_for_has_none():
    assert rounding_of(lambda x: x) is None


def test_a_zero_point_moves_the_range_and_the_halves():
    given = GivenQuantizer(0.5, 3, 0, 7, 3, False, "EVEN")
    # In steps, 3 added: 1.5, 2.5, 3.5 and what is beyond both ends.
    found = given(torch.tensor([-0.75, -0.25, 0.25, -9.0, 9.0]))
    assert found.tolist() == [-0.5, -0.5, 0.5, -1.5, 2.0]
    assert (given.low, given.high, given.type) == (-3, 4, QType(3, True, 1, -1))


@pytest.mark.parametrize(
    ("signed", "zero", "least", "most"), [(True, 0, -8, 7), (True, 2, -8, 7), (False, 0, 0, 15)]
)
def test_the_type_has_the_range_of_the_quantizer(signed, zero, least, most):
    given = GivenQuantizer(0.125, zero, least, most, 4, signed, "EVEN")
    assert (given.type.low, given.type.high) == (given.low, given.high)


@pytest.mark.parametrize(("scale", "exponent"), [(1.0, 0), (0.25, 2), (8.0, -3), (0.3, None)])
def test_only_powers_of_two_have_an_exponent(scale, exponent):
    assert GivenQuantizer(scale, 0, 0, 7, 3, False, "EVEN").exponent == exponent
