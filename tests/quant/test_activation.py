import math
from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qnn.quant.activation import choose_type, decode, encode, headroom, snap, squared_error
from qnn.quant.histogram import Histogram
from qnn.quant.qtype import QType

TYPES = st.builds(QType, st.integers(2, 16), st.booleans(), st.integers(-4, 12))


@given(TYPES, st.lists(st.floats(-300, 300, width=32), min_size=1, max_size=20))
def test_encode_rounds_half_up_and_clamps(type, reals):
    integers = encode(torch.tensor(reals), type).tolist()
    for real, integer in zip(reals, integers, strict=True):
        exact = math.floor(Fraction(real) * Fraction(2) ** type.exponent + Fraction(1, 2))
        assert integer == min(max(exact, type.low), type.high)


@pytest.mark.parametrize("bits", [2, 3, 8])
@pytest.mark.parametrize("signed", [True, False])
def test_every_integer_comes_back(bits, signed):
    type = QType(bits, signed, 3)
    integers = torch.arange(type.low, type.high + 1)
    assert torch.equal(encode(decode(integers, type), type), integers)
    assert torch.equal(snap(decode(integers, type).float(), type), decode(integers, type).float())


def test_halves_go_up():
    reals = torch.tensor([-1.5, -0.5, 0.5, 1.5])
    assert encode(reals, QType(8, True, 0)).tolist() == [-1, 0, 1, 2]
    assert snap(reals, QType(8, True, 0)).tolist() == [-1, 0, 1, 2]


def true_error(samples, type):
    return float((snap(samples.double(), type) - samples).square().sum())


@pytest.mark.parametrize("bits", [2, 3, 4, 8, 12, 16])
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 300.0])
def test_no_exponent_is_clearly_better_than_the_chosen_one(bits, relu, scale):
    samples = torch.randn(20000, generator=torch.Generator().manual_seed(bits)) * scale
    samples = samples.relu() if relu else samples
    chosen = choose_type(samples, bits)
    assert chosen.signed is not relu
    # Wide formats have room beyond the samples, which makes their steps coarser than need be.
    chosen = replace(chosen, exponent=chosen.exponent + headroom(bits))
    least = true_error(samples, chosen)
    for step in range(-8, 9):
        other = QType(bits, chosen.signed, chosen.exponent + step)
        assert least <= 1.02 * true_error(samples, other)


@pytest.mark.parametrize("bits", [2, 8, 11, 12, 13, 14, 16])
@pytest.mark.parametrize("signed", [True, False])
def test_a_histogram_knows_the_error_of_its_samples(bits, signed):
    samples = torch.rand(300_000, generator=torch.Generator().manual_seed(9))
    samples = 2 * samples - 1 if signed else samples
    for exponent in (bits - 2, bits - 1, bits):
        type = QType(bits, signed, exponent)
        known = squared_error(Histogram.of(samples), type)
        assert known == pytest.approx(true_error(samples, type), rel=0.02)


def test_wide_formats_reach_beyond_what_was_seen():
    samples = torch.linspace(-0.9, 0.9, 1001)
    reach = {bits: -(type := choose_type(samples, bits)).low * type.scale for bits in (8, 12, 16)}
    assert reach == {8: 1, 12: 2, 16: 2}


def test_few_outliers_are_clipped_and_many_are_not():
    body = torch.randn(10000, generator=torch.Generator().manual_seed(0))
    few = torch.cat([body, torch.tensor([40.0])])
    many = torch.cat([body, torch.full((3000,), 40.0)])
    assert choose_type(few, 4).high * choose_type(few, 4).scale < 10
    assert choose_type(many, 4).high * choose_type(many, 4).scale > 25


def test_a_tensor_of_zeros_gets_the_range_of_one():
    assert choose_type(torch.zeros(5), 8) == QType(8, False, 7)
    assert choose_type(torch.zeros(5), 8, signed=True) == QType(8, True, 6)


def test_signedness_can_be_asked_for():
    assert choose_type(torch.rand(100), 8, signed=True).signed
    assert not choose_type(torch.tensor([-1e-3, 1.0]), 8, signed=False).signed


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=40), st.data())
def test_histograms_add_up_to_that_of_the_whole(values, data):
    split = data.draw(st.integers(1, len(values) - 1))
    whole = Histogram.of(torch.tensor(values))
    parts = Histogram.of(torch.tensor(values[:split])) + Histogram.of(torch.tensor(values[split:]))
    assert torch.equal(parts.counts, whole.counts)
    kept = ("reach", "zeros", "least", "most")
    assert [getattr(parts, name) for name in kept] == [getattr(whole, name) for name in kept]


def test_an_empty_tensor_has_no_histogram():
    with pytest.raises(
        ValueError, match=r"^Histogram needs at least one value, not an empty tensor$"
    ):
        Histogram.of(torch.zeros(0, 3))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_not_finite_has_no_histogram(value):
    with pytest.raises(ValueError, match=r"^Histogram needs finite values, not NaN or infinity$"):
        Histogram.of(torch.tensor([1.0, value]))


@pytest.mark.parametrize("function", [torch.nn.SiLU(), torch.nn.GELU(), torch.nn.Hardswish()])
def test_a_free_zero_halves_the_steps_of_what_hardly_goes_below_zero(function):
    samples = function(torch.randn(20000, generator=torch.Generator().manual_seed(0)) * 2)
    middle, free = choose_type(samples, 8), choose_type(samples, 8, free_zero=True)
    assert free.exponent == middle.exponent + 1
    assert -128 < free.zero_point < -64
    assert true_error(samples, free) < 0.5 * true_error(samples, middle)


@pytest.mark.parametrize("most", [-40.0, -1.0, 0.0])
def test_a_free_zero_halves_the_steps_of_what_is_never_positive(most):
    samples = torch.linspace(-80.0, most, 1001)
    assert choose_type(samples, 8).exponent == 0
    assert choose_type(samples, 8, free_zero=True).exponent == 1
    assert choose_type(samples, 8, free_zero=True).zero_point > 0


@pytest.mark.parametrize("bits", [2, 4, 8, 11, 16])
@pytest.mark.parametrize("shift", [-30.0, -1.0, 0.0, 0.5, 20.0])
def test_a_free_zero_never_loses(bits, shift):
    samples = torch.randn(20000, generator=torch.Generator().manual_seed(bits)) + shift
    middle, free = choose_type(samples, bits, True), choose_type(samples, bits, True, True)
    assert true_error(samples, free) <= 1.02 * true_error(samples, middle)
    assert free == middle or free.exponent > middle.exponent


def test_values_of_the_size_of_each_other_on_both_sides_keep_zero_in_the_middle():
    samples = torch.linspace(-1, 1, 1001)
    assert choose_type(samples, 8, True, True) == choose_type(samples, 8, True)
    # A wide type has steps to spare.
    positive = torch.linspace(-0.1, 1, 1001)
    assert choose_type(positive, 16, True, True).zero_point == 0
