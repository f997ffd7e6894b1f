import itertools
import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hw.spec.isa import codes
from qnn.quant import pow2

FORMATS = [(bits, terms) for bits in range(2, 6) for terms in (1, 2, 3)]
SMALL = [(bits, terms) for bits, terms in FORMATS if bits < 5 or terms < 3]


def exact_value(indices, exponent, bits):
    """The definition, in fractions: each term is ±2**(abs(m) - K) * 2**e."""
    most = 2 ** (bits - 1) - 1
    terms = [
        math.copysign(1, m) * Fraction(2) ** (abs(m) - most) if m else Fraction(0) for m in indices
    ]
    return sum(terms, Fraction(0)) * Fraction(2) ** exponent


def every_sum(bits, terms):
    """Values of all combinations of codes, for e = 0."""
    most = 2 ** (bits - 1) - 1
    combinations = itertools.combinations_with_replacement(range(-most, most + 1), terms)
    return sorted({exact_value(indices, 0, bits) for indices in combinations})


def one_channel(numbers):
    return torch.tensor([float(number) for number in numbers], dtype=torch.float64)[None]


@pytest.mark.parametrize("exponent", [-9, 0, 5])
@pytest.mark.parametrize("bits", range(2, 6))
def test_every_index_has_its_value(bits, exponent):
    most = pow2.most_index(bits)
    indices = torch.arange(-most, most + 1, dtype=torch.int8)[None, None]
    values = pow2.values(indices, torch.tensor([exponent]), bits)[0].tolist()
    expected = [float(exact_value([m], exponent, bits)) for m in range(-most, most + 1)]
    assert values == expected


@pytest.mark.parametrize("bits", range(2, 6))
def test_indices_and_integers_are_those_of_the_hardware(bits):
    most = pow2.most_index(bits)
    assert most == codes.most_index(bits)
    for index in range(-most, most + 1):
        assert codes.decode(codes.encode(index, bits), bits) == index
        assert int(pow2.integers(torch.tensor([index]))) == codes.integer(index)


@pytest.mark.parametrize(("bits", "terms"), FORMATS)
def test_grid_is_every_sum_of_codes_once(bits, terms):
    sums, indices = pow2.grid(bits, terms)
    scale = 2 ** (pow2.most_index(bits) - 1)
    assert sums.tolist() == [int(value * scale) for value in every_sum(bits, terms) if value >= 0]
    assert torch.equal(pow2.integers(indices.T), sums)


@pytest.mark.parametrize(("bits", "terms"), SMALL)
def test_nearest_gives_back_every_value_of_the_grid(bits, terms):
    for exponent in (-7, 0, 3):
        values = one_channel(value * Fraction(2) ** exponent for value in every_sum(bits, terms))
        indices = pow2.nearest(values, torch.tensor([exponent]), bits, terms)
        assert indices.dtype == torch.int8
        assert indices.shape == (terms, *values.shape)
        assert torch.equal(pow2.values(indices, torch.tensor([exponent]), bits), values)


@pytest.mark.parametrize(("bits", "terms"), SMALL)
def test_nearest_goes_away_from_zero_at_a_midpoint_and_not_before(bits, terms):
    grid = every_sum(bits, terms)
    positive = [value for value in grid if value >= 0]
    middles = [(low + high) / 2 for low, high in itertools.pairwise(positive)]
    below = [math.nextafter(float(middle), 0) for middle in middles]
    exponent = torch.tensor([0])
    for sign in (1, -1):
        at_middle = pow2.nearest(sign * one_channel(middles), exponent, bits, terms)
        under = pow2.nearest(sign * one_channel(below), exponent, bits, terms)
        assert torch.equal(pow2.values(at_middle, exponent, bits), sign * one_channel(positive[1:]))
        assert torch.equal(pow2.values(under, exponent, bits), sign * one_channel(positive[:-1]))


@given(
    st.sampled_from(SMALL),
    st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=8),
    st.integers(-3, 4),
)
def test_nearest_is_nearer_than_every_other_sum(format, weights, exponent):
    bits, terms = format
    indices = pow2.nearest(one_channel(weights), torch.tensor([exponent]), bits, terms)
    values = pow2.values(indices, torch.tensor([exponent]), bits)[0].tolist()
    grid = [value * Fraction(2) ** exponent for value in every_sum(bits, terms)]
    for weight, value in zip(weights, values, strict=True):
        distance = abs(Fraction(value) - Fraction(weight))
        assert distance == min(abs(point - Fraction(weight)) for point in grid)


@given(st.sampled_from(SMALL), st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=8))
def test_nearest_of_the_negative_is_the_negative(format, weights):
    w, exponent = one_channel(weights), torch.tensor([1])
    assert torch.equal(pow2.nearest(-w, exponent, *format), -pow2.nearest(w, exponent, *format))


def edges(bits, terms):
    """Every value of the grid and every midpoint, each with its neighbours in float32."""
    grid = [float(value) for value in every_sum(bits, terms)]
    middles = [(low + high) / 2 for low, high in itertools.pairwise(grid)]
    points = torch.tensor(grid + middles, dtype=torch.float32)
    infinite = torch.tensor(float("inf"))
    return torch.cat([points, points.nextafter(infinite), points.nextafter(-infinite)])


@pytest.mark.parametrize("exponent", [-130, -115, -7, 0, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("bits", "terms"), SMALL)
def test_snap_is_the_value_of_nearest_at_every_edge(bits, terms, dtype, exponent):
    w = (edges(bits, terms).double() * 2.0**exponent).to(dtype)[None]
    exponent = torch.tensor([exponent])
    values = pow2.values(pow2.nearest(w, exponent, bits, terms), exponent, bits)
    snapped = pow2.snap(w, exponent, bits, terms)
    assert snapped.dtype == dtype
    assert torch.equal(snapped, values.to(dtype))


@given(
    st.sampled_from(FORMATS),
    st.lists(st.floats(width=32, allow_nan=False), min_size=2, max_size=8),
    st.integers(-100, 100),
)
def test_snap_is_the_value_of_nearest_for_every_float(format, weights, exponent):
    w, exponent = torch.tensor(weights)[:, None], torch.full((len(weights),), exponent)
    values = pow2.values(pow2.nearest(w, exponent, *format), exponent, format[0])
    assert torch.equal(pow2.snap(w, exponent, *format), values.float())
    assert torch.equal(pow2.snap(w.double(), exponent, *format), values)


@pytest.mark.parametrize("terms", [1, 2])
def test_snap_of_half_precision_is_that_of_its_float_and_keeps_nan(terms):
    w = torch.tensor([[0.3, -0.7, float("nan"), float("inf"), 0.0]])
    for dtype in (torch.bfloat16, torch.float16, torch.float32, torch.float64):
        snapped = pow2.snap(w.to(dtype), torch.tensor([0]), 3, terms)
        assert snapped.dtype == dtype
        assert snapped.isnan().tolist() == [[False, False, True, False, False]]
        expected = torch.tensor([0.25, -0.75 if terms == 2 else -0.5, 1.0 * terms, 0.0])
        assert torch.equal(snapped[0, [0, 1, 3, 4]].float(), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_power_goes_up_from_the_midpoint(dtype):
    nan = float("nan")
    magnitudes = [0.0, 0.49, 0.5, 1.0, 1.4142, 1.4143, 1.5, 1.99, 2.0, 5.9, 6.0, 20.0, nan]
    magnitudes = torch.tensor(magnitudes, dtype=dtype)
    nearest = pow2.power(magnitudes, 4, 1.5).tolist()
    by_logarithm = pow2.power(magnitudes, 4, math.sqrt(2)).tolist()
    assert nearest[:-1] == [0, 0, 1, 1, 1, 1, 2, 2, 2, 4, 8, 16]
    assert by_logarithm[:-1] == [0, 0, 1, 1, 1, 2, 2, 2, 2, 8, 8, 16]
    assert math.isnan(nearest[-1])


def test_steps_are_float32_only_where_they_are_normal_numbers():
    w = torch.tensor([[1.0, -0.75]])
    for exponent, dtype in ((-1, torch.float32), (-124, torch.float32), (-125, torch.float64)):
        magnitude, step = pow2.in_steps(w * 2.0**exponent, torch.tensor([exponent]), 3)
        assert step.item() == 2.0 ** (exponent - 2)
        assert magnitude.tolist() == [[4.0, 3.0]]
        assert magnitude.dtype == step.dtype == dtype


def test_reach_is_the_greatest_sum_of_the_grid():
    w = torch.zeros(2, 3, 1, 1)
    reach = pow2.reach(w, torch.tensor([-1, 3]), 2)
    assert reach.dtype == w.dtype
    assert reach.tolist() == [[[[1.0]]], [[[16.0]]]]


def test_exp2_is_exact():
    exponents = torch.arange(-1022, 1024)
    assert pow2.exp2(exponents).tolist() == [math.ldexp(1, int(e)) for e in exponents]


@pytest.mark.parametrize("bits", [1, 6])
def test_a_format_of_other_bits_is_refused(bits):
    with pytest.raises(ValueError, match=rf"^weight_bits must be from 2 to 5, not {bits}$"):
        pow2.most_index(bits)


@pytest.mark.parametrize("terms", [0, 8])
def test_a_format_of_other_terms_is_refused(terms):
    with pytest.raises(ValueError, match=rf"^terms must be from 1 to 7, not {terms}$"):
        pow2.grid(3, terms)


@pytest.mark.parametrize("exponent", [-9, 0, 5])
@pytest.mark.parametrize(("bits", "terms"), SMALL)
def test_neighbours_enclose_each_weight(bits, terms, exponent):
    positive = [value * Fraction(2) ** exponent for value in every_sum(bits, terms) if value > 0]
    levels = [-value for value in reversed(positive)] + [Fraction(0), *positive]
    between = [(a + 2 * b) / 3 for a, b in itertools.pairwise(levels)]
    weights = one_channel([*levels, *between, 2 * levels[0], 2 * levels[-1]])
    down, up = pow2.neighbours(weights, torch.tensor([exponent]), bits, terms)
    assert torch.equal(down, one_channel([*levels, *levels[:-1], levels[0], levels[-1]]))
    assert torch.equal(up, one_channel([*levels, *levels[1:], levels[0], levels[-1]]))
