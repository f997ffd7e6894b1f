import itertools
import math
from fractions import Fraction
from functools import lru_cache

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hw.spec.isa import codes
from qnn.quant import pow2
from qnn.quant.search_exponent import search_exponent

FORMATS = [(bits, terms) for bits in range(2, 6) for terms in (1, 2, 3, 4)]
SMALL = [(bits, terms) for bits, terms in FORMATS if (bits, terms) not in ((4, 4), (5, 3), (5, 4))]
SHIFTS = {2: 1, 3: 2, 4: 2, 5: 1}  # places by which a term weighs more than the next one


def exact_value(indices, exponent, bits):
    """The definition, in fractions: term t is ±2**(abs(m) - K) * 2**(e - r t)."""
    most = 2 ** (bits - 1) - 1
    terms = [
        math.copysign(1, m) * Fraction(2) ** (abs(m) - most - SHIFTS[bits] * term)
        for term, m in enumerate(indices)
        if m
    ]
    return sum(terms, Fraction(0)) * Fraction(2) ** exponent


def every_index(bits):
    most = 2 ** (bits - 1) - 1
    return range(-most, most + 1)


@lru_cache
def every_sum(bits, terms):
    """Values of all combinations of codes, for e = 0."""
    if not terms:
        return [Fraction(0)]
    # The first term and, a shift below it, what the others add.
    rest = [value / 2 ** SHIFTS[bits] for value in every_sum(bits, terms - 1)]
    firsts = [exact_value([m], 0, bits) for m in every_index(bits)]
    return sorted({first + other for first in firsts for other in rest})


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
    for index in every_index(bits):
        assert codes.decode(codes.encode(index, bits), bits) == index
        assert int(pow2.integers(torch.tensor([index]), bits)) == codes.integer(index)


@pytest.mark.parametrize(("bits", "terms"), [(2, 1), (2, 7), (3, 2), (3, 4), (4, 3), (5, 2)])
def test_each_term_weighs_more_than_the_next_in_integers_and_in_values(bits, terms):
    tuples = list(itertools.product(every_index(bits), repeat=terms))
    indices = torch.tensor(tuples, dtype=torch.int8).T
    shift = codes.term_shift(bits)
    assert shift == SHIFTS[bits]
    wanted = [
        sum(codes.integer(m) << shift * (terms - 1 - term) for term, m in enumerate(each))
        for each in tuples
    ]
    assert pow2.integers(indices, bits).tolist() == wanted
    exponent = torch.tensor([-3])
    values = pow2.values(indices[:, None], exponent, bits)[0].tolist()
    assert values == [whole * 2.0 ** (-3 - pow2.fraction_bits(bits, terms)) for whole in wanted]
    assert pow2.fraction_bits(bits, terms) == pow2.most_index(bits) - 1 + shift * (terms - 1)
    picked = range(0, len(tuples), 1 + len(tuples) // 500)
    assert [values[i] for i in picked] == [float(exact_value(tuples[i], -3, bits)) for i in picked]


def test_the_reach_of_codes_adds_magnitudes_as_their_terms_weigh():
    indices = torch.tensor([[[1, -1], [3, 0]], [[-1, 2], [0, -3]]], dtype=torch.int8)
    # 3 = 4 - 1 and -2 = -4 + 2 of the first channel reach 5 and 6, 16 and -4 of the second 20.
    assert pow2.integers(indices, 3).tolist() == [[3, -2], [16, -4]]
    assert pow2.reach_of(indices, 3).tolist() == [5 + 6, 16 + 4]


@pytest.mark.parametrize(("bits", "terms"), FORMATS)
def test_grid_is_every_sum_of_codes_once(bits, terms):
    sums, indices = pow2.grid(bits, terms)
    scale = 2 ** pow2.fraction_bits(bits, terms)
    assert sums.tolist() == [int(value * scale) for value in every_sum(bits, terms) if value >= 0]
    assert torch.equal(pow2.integers(indices.T, bits), sums)


@pytest.mark.parametrize(("bits", "terms"), [(2, 1), (2, 2), (2, 5), (3, 2), (3, 4), (4, 2)])
def test_no_way_to_write_a_sum_is_shorter_or_ends_with_more_zeros(bits, terms):
    tuples = torch.tensor(list(itertools.product(every_index(bits), repeat=terms)))
    places = torch.arange(1, terms + 1)

    def cost(indices):
        used = indices != 0
        weights = [codes.magnitude(m) for m in range(pow2.most_index(bits) + 1)]
        shifts = SHIFTS[bits] * (terms - places)
        spans = (torch.tensor(weights)[indices.abs().long()] << shifts).sum(1)
        # Codes that are not zero; of as many, the last that is not; then what is summed at most,
        # which is the least for up to three terms.
        order = used.sum(1) * 10 + (used * places).amax(1)
        return order * 10**6 + (spans if terms < 4 else 0)

    sums, found = pow2.grid(bits, terms)
    wholes = pow2.integers(tuples.T, bits)
    least = torch.full((2 * int(sums[-1]) + 1,), 10**9)
    least.scatter_reduce_(0, wholes + sums[-1], cost(tuples), "amin")
    assert torch.equal(cost(found)[1:], least[sums + sums[-1]][1:])
    assert not found[0].any()


@pytest.mark.parametrize("bits", range(2, 6))
def test_the_largest_grids_are_whole_too(bits):
    sums, indices = pow2.grid(bits, 7)
    assert torch.equal(pow2.integers(indices.T, bits), sums)
    greatest = codes.magnitude(pow2.most_index(bits))
    assert int(sums[-1]) == sum(greatest << SHIFTS[bits] * term for term in range(7))
    w = torch.tensor([[0.3, -0.7001, 1.2]], dtype=torch.float64)
    exponent = torch.tensor([0])
    values = pow2.values(pow2.nearest(w, exponent, bits, 7), exponent, bits)
    assert torch.equal(pow2.snap(w, exponent, bits, 7), values)
    assert float((values - w).abs().max()) < (0.008 if bits == 2 else 1e-4)


@pytest.mark.parametrize(("bits", "terms"), FORMATS)
def test_twice_a_value_is_a_value_up_to_the_first_term_s_greatest(bits, terms):
    """So a larger exponent than the least one that clips nothing has nothing to offer."""
    grid = set(every_sum(bits, terms))
    assert all(2 * value in grid for value in grid if abs(2 * value) <= 1)


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
        expected = [0.25, -0.5, 1.0, 0.0] if terms == 1 else [0.3125, -0.75, 1.25, 0.0]
        expected = torch.tensor(expected)
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
    for (bits, terms), wanted in {(3, 1): 1, (3, 2): 1.25, (4, 3): 1.3125, (2, 2): 1.5}.items():
        reach = pow2.reach(w, torch.tensor([-1, 3]), bits, terms)
        assert reach.dtype == w.dtype
        assert reach.tolist() == [[[[wanted / 2]]], [[[wanted * 8]]]]
        assert wanted == max(every_sum(bits, terms))


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


@pytest.mark.parametrize("bits", range(2, 6))
def test_channels_may_have_terms_of_their_own(bits):
    terms = (2, 1, 3, 1, 2, 2)
    w = torch.randn(6, 5, 3, generator=torch.Generator().manual_seed(bits))
    least = torch.tensor([-9, 0, -9, -9, 1, -9])
    exponent = search_exponent(w, bits, terms, least=least)
    indices, snapped = (f(w, exponent, bits, terms) for f in (pow2.nearest, pow2.snap))
    reach, sides = pow2.reach(w, exponent, bits, terms), pow2.neighbours(w, exponent, bits, terms)
    assert indices.shape == (3, 6, 5, 3)
    assert torch.equal(pow2.values(indices, exponent, bits), snapped.double())
    for row, k in enumerate(terms):
        one, e = w[row : row + 1], exponent[row : row + 1]
        assert e == search_exponent(one, bits, k, least=least[row : row + 1])
        assert torch.equal(indices[:k, row : row + 1], pow2.nearest(one, e, bits, k))
        assert not indices[k:, row].any()
        assert torch.equal(snapped[row : row + 1], pow2.snap(one, e, bits, k))
        assert torch.equal(reach[row : row + 1], pow2.reach(one, e, bits, k))
        alone = pow2.neighbours(one, e, bits, k)
        assert all(torch.equal(a[row], b[0]) for a, b in zip(sides, alone, strict=True))
