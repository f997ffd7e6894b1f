import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qnn.quant import pow2
from qnn.quant import search_exponent as searching
from qnn.quant.search_exponent import DEPTH, search_exponent

FORMATS = [(2, 1), (3, 1), (4, 1), (5, 1), (2, 3), (3, 2), (3, 3), (4, 4), (5, 3)]


def one_channel(numbers):
    return torch.tensor([float(number) for number in numbers], dtype=torch.float64)[None]


def error(w, exponent, bits, terms):
    indices = pow2.nearest(w, exponent, bits, terms)
    return (pow2.values(indices, exponent, bits) - w).square().flatten(1).sum(1)


@given(
    st.sampled_from(FORMATS),
    st.lists(st.floats(-8, 8, width=32), min_size=1, max_size=12),
    st.integers(-40, 40),
)
def test_no_exponent_is_better_than_the_found_one(format, weights, scale):
    w = one_channel(weights) * 2.0**scale
    found = search_exponent(w, *format)
    least = error(w, found, *format)
    tried = range(int(found) - 12, int(found) + 12)
    assert all(error(w, torch.tensor([other]), *format) >= least * (1 - 1e-12) for other in tried)


def test_many_small_weights_outvote_one_that_is_then_clipped():
    w = torch.cat([torch.ones(1), torch.full((5000,), 2.0**-5)])[None]
    assert search_exponent(w, 2).tolist() == [-5]


def test_each_channel_has_its_own_exponent():
    w = torch.randn(3, 4, 3, 3, generator=torch.Generator().manual_seed(1))
    scales = torch.tensor([1.0, 2.0**-20, 2.0**9])
    alone = search_exponent(w, 3)
    scaled = search_exponent(w * scales[:, None, None, None], 3)
    assert (scaled - alone).tolist() == [0, -20, 9]


def test_an_exact_power_of_two_takes_the_greatest_index():
    w = torch.tensor([[0.25], [-8.0]])
    exponent = search_exponent(w, 4)
    assert exponent.tolist() == [-2, 3]
    assert pow2.nearest(w, exponent, 4).flatten().tolist() == [7, -7]


def test_a_channel_of_zeros_has_exponent_zero_and_index_zero():
    w = torch.zeros(2, 3)
    exponent = search_exponent(w, 3)
    assert exponent.tolist() == [0, 0]
    assert not pow2.nearest(w, exponent, 3).any()


def test_bounds_hold_and_the_least_wins():
    w = torch.tensor([[1.0], [2.0**-30], [0.0], [1.0]])
    exponent = search_exponent(
        w, 3, least=torch.tensor([-4, -4, -4, 2]), most=torch.tensor([-1, 9, -2, 1])
    )
    assert exponent.tolist() == [-1, -4, -2, 2]


def every_trial(w, bits, terms, least):
    """The definition: of all exponents the first with the least error."""
    top = w.abs().amax(1).log2().ceil().long()
    trials = torch.stack([(top - depth).maximum(least) for depth in range(DEPTH)])
    errors = torch.stack([error(w, trial, bits, terms) for trial in trials])
    return trials.gather(0, errors.argmin(0, keepdim=True))[0]


@pytest.mark.parametrize("tail", [1, 4, 16])
@pytest.mark.parametrize("format", FORMATS)
def test_exponents_that_are_not_tried_could_not_win(format, tail):
    generator = torch.Generator().manual_seed(tail)
    # Powers of normal numbers: the greatest is the further from most of the others.
    w = torch.randn(40, 300, generator=generator, dtype=torch.float64) ** tail
    w *= torch.randn(40, 1, generator=generator).exp()
    free = torch.full((40,), -99)
    assert torch.equal(search_exponent(w, *format), every_trial(w, *format, free))
    least = search_exponent(w, *format) + torch.randint(-2, 3, (40,), generator=generator)
    found = search_exponent(w, *format, least=least)
    assert torch.equal(found, every_trial(w, *format, least))


def test_weights_are_looked_at_a_few_times_and_not_at_every_depth(monkeypatch):
    seen = []

    def counted(magnitude, bits, terms):
        seen.append(magnitude.numel())
        return pow2.nearest_sum(magnitude, bits, terms)

    monkeypatch.setattr(searching, "nearest_sum", counted)
    w = torch.randn(64, 4096, generator=torch.Generator().manual_seed(0))
    search_exponent(w, 3)
    # Four octaves: a grid whose top is under the weights' spread errs by more than the best does.
    assert sum(seen) <= 5 * w.numel()


def test_pieces_change_nothing(monkeypatch):
    w = torch.randn(9, 5, 3, 3, generator=torch.Generator().manual_seed(2))
    whole = search_exponent(w, 3), pow2.nearest(w, search_exponent(w, 3), 3, 2)
    monkeypatch.setattr(pow2, "PIECE", 100)
    assert [rows.stop - rows.start for rows in pow2.pieces(w)] == [2] * 5
    assert torch.equal(search_exponent(w, 3), whole[0])
    assert torch.equal(pow2.nearest(w, whole[0], 3, 2), whole[1])


def test_the_reach_of_indices_sums_all_terms():
    indices = torch.tensor([[[3, -1, 0], [0, 0, 0]], [[-2, 0, 1], [0, 2, 0]]], dtype=torch.int8)
    assert pow2.reach_of(indices, 3).tolist() == [4 * (4 + 1) + 2 + 1, 2]
