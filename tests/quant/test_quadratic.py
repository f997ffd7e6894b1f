"""Weights of a layer rounded together: what holds for every problem, by trying every value."""

import itertools
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from qnn.quant import pow2
from qnn.quant.rounding import quadratic
from qnn.quant.rounding.quadratic import (
    GridRows,
    damped,
    descend,
    fit_sums,
    largest_first,
    round_columns,
)

PROBLEMS = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**16),
        "groups": st.integers(1, 3),
        "rows": st.integers(1, 4),
        "inputs": st.integers(1, 7),
        "bits": st.integers(2, 5),
        "terms": st.sampled_from((1, 2, None)),
    }
)


def problem(seed, groups, rows, inputs, bits, terms):
    """GridRows of several scales, and moments of operands that go together; some operands are 0."""
    generator = torch.Generator().manual_seed(seed)
    w = torch.randn(groups, rows, inputs, generator=generator).double()
    w *= 4.0 ** torch.randint(-2, 3, (groups, rows, 1), generator=generator)
    if terms is None:
        terms = tuple(torch.randint(1, 4, (groups * rows,), generator=generator).tolist())
    largest = w.abs().amax(2).log2().round().long()
    x = torch.randn(groups, 2 * inputs, inputs, generator=generator).double()
    x = x @ torch.randn(groups, inputs, inputs, generator=generator).double()
    x *= torch.rand(groups, 1, inputs, generator=generator) > 0.1
    second = x.transpose(1, 2) @ x / (2 * inputs)
    return GridRows(w, largest, bits, terms), damped(second, 0.01)


def values_of(rows: GridRows, group: int, row: int) -> Tensor:
    """Every value of the grid of one row, ascending."""
    terms = rows.terms
    if not isinstance(terms, int):
        terms = terms[group * rows.w.shape[1] + row]
    step = pow2.exp2(rows.exponent[group, row] - pow2.fraction_bits(rows.bits, terms))
    sums = pow2.grid(rows.bits, terms)[0].double() * step
    return torch.cat((-sums[1:].flip(0), sums))


def lost(rows, moments, found) -> Tensor:
    """``d H d^T`` of each row, (groups, rows)."""
    change = found - rows.w
    return ((change @ moments) * change).sum(2)


def of_group(rows: GridRows, group: int) -> GridRows:
    one = slice(group, group + 1)
    count, terms = rows.w.shape[1], rows.terms
    if not isinstance(terms, int):
        terms = terms[group * count : (group + 1) * count]
    return GridRows(rows.w[one], rows.exponent[one], rows.bits, terms)


def singly_best(rows, moments, found, columns):
    """Assert that no other value of the grid for one weight of ``columns`` loses less."""
    least = lost(rows, moments, found)
    for group, row, column in itertools.product(*map(range, rows.w.shape[:2]), columns):
        for value in values_of(rows, group, row):
            other = found.clone()
            other[group, row, column] = value
            assert lost(rows, moments, other)[group, row] >= least[group, row] * (1 - 1e-9)


@settings(max_examples=60)
@given(PROBLEMS, st.booleans())
def test_columns_get_values_of_the_grid_and_the_last_one_the_best(given, ordered):
    rows, moments = problem(**given)
    order = largest_first(moments) if ordered else None
    found = round_columns(rows, moments, order)
    for group, row in itertools.product(*map(range, found.shape[:2])):
        assert torch.isin(found[group, row], values_of(rows, group, row)).all()
    # All others are rounded by then, and nothing is left that takes an error up.
    last = found.shape[2] - 1
    if not ordered:
        singly_best(rows, moments, found, [last])


@settings(max_examples=60)
@given(PROBLEMS, st.booleans())
def test_groups_are_rounded_as_if_each_were_alone(given, ordered):
    rows, moments = problem(**given)
    start = round_columns(rows, moments, largest_first(moments) if ordered else None)
    found = descend(rows, moments, start, 3)
    for group in range(len(found)):
        alone, own = of_group(rows, group), moments[group : group + 1]
        begun = round_columns(alone, own, largest_first(own) if ordered else None)
        assert torch.equal(begun, start[group : group + 1])
        assert torch.equal(descend(alone, own, begun, 3), found[group : group + 1])


@settings(max_examples=60)
@given(PROBLEMS)
def test_operands_that_do_not_go_together_are_rounded_to_nearest(given):
    rows, moments = problem(**given)
    apart = torch.diag_embed(moments.diagonal(dim1=1, dim2=2))
    nearest = rows.nearest(rows.w)
    assert torch.equal(round_columns(rows, apart), nearest)
    assert torch.equal(descend(rows, apart, torch.zeros_like(rows.w), 1), nearest)


@settings(max_examples=60)
@given(PROBLEMS, st.integers(1, 3), st.booleans())
def test_each_sweep_loses_no_more_than_what_it_starts_from(given, sweeps, from_columns):
    rows, moments = problem(**given)
    start = round_columns(rows, moments) if from_columns else rows.nearest(rows.w)
    before = lost(rows, moments, start)
    for _ in range(sweeps):
        found = descend(rows, moments, start, 1)
        after = lost(rows, moments, found)
        assert bool((after <= before * (1 + 1e-9)).all())
        # What moved at all gained by it.
        assert bool((after < before)[(found != start).any(2)].all())
        start, before = found, after


@settings(max_examples=40)
@given(PROBLEMS, st.integers(0, 2))
def test_sums_are_fitted_to_what_other_weights_would_give(given, sweeps):
    rows, moments = problem(**given)
    other = replace(rows, w=rows.w * 1.3 + 0.1)
    missing = (other.w - rows.w) @ moments
    # The wanted sums are those of the other weights over the same operands: they are rounded then.
    wanted = descend(other, moments, round_columns(other, moments), sweeps)
    found = fit_sums(rows, moments, missing, sweeps)
    assert torch.allclose(lost(other, moments, found), lost(other, moments, wanted), rtol=1e-6)
    assert torch.equal(fit_sums(rows, moments, None, 0), round_columns(rows, moments))


@settings(max_examples=40)
@given(PROBLEMS)
def test_at_the_end_no_weight_alone_can_be_better(given):
    rows, moments = problem(**given)
    found = descend(rows, moments, rows.nearest(rows.w), 1000)
    assert torch.equal(descend(rows, moments, found, 1), found)
    singly_best(rows, moments, found, range(found.shape[2]))


@settings(max_examples=40)
@given(st.integers(0, 2**16), st.integers(1, 3), st.integers(2, 3))
def test_nothing_is_better_than_the_best_of_all_and_the_best_stays(seed, inputs, bits):
    rows, moments = problem(seed, 1, 1, inputs, bits, 1)
    every = itertools.product(values_of(rows, 0, 0).tolist(), repeat=inputs)
    every = torch.tensor(list(every)).double()[:, None, None]
    losses = torch.stack([lost(rows, moments, one)[0, 0] for one in every])
    best = every[losses.argmin()]
    found = descend(rows, moments, round_columns(rows, moments), 1000)
    assert losses.min() <= lost(rows, moments, found)[0, 0] * (1 + 1e-9)
    stays = lost(rows, moments, descend(rows, moments, best, 1000))[0, 0]
    assert stays <= losses.min() * (1 + 1e-9)
    if inputs == 1:
        assert lost(rows, moments, found)[0, 0] <= losses.min() * (1 + 1e-9)


def test_damping_leaves_operands_that_are_always_zero_alone():
    rows, moments = problem(3, 2, 3, 6, 3, 1)
    moments[0, 2], moments[0, :, 2] = 0, 0
    held = damped(moments, 0.01)
    assert held[0, 2, 2] == 1
    assert held[0, 2].count_nonzero() == 1
    more = 0.01 * moments[1].diagonal().mean()
    torch.testing.assert_close(held[1], moments[1] + more * torch.eye(6).double())
    for found in (round_columns(rows, held), descend(rows, held, rows.w * 0, 1)):
        assert torch.equal(found[0, :, 2], rows.nearest(rows.w)[0, :, 2])


@pytest.mark.parametrize("block", [1, 3, 64])
def test_blocks_of_any_size_give_the_same(monkeypatch, block):
    rows, moments = problem(5, 2, 4, 40, 3, None)
    whole = round_columns(rows, moments)
    found = descend(rows, moments, rows.nearest(rows.w), 3)
    assert not torch.equal(found, rows.nearest(rows.w))
    assert torch.equal(round_columns(rows, moments, block=block), whole)
    monkeypatch.setattr(quadratic, "BLOCK", block)
    assert torch.equal(descend(rows, moments, rows.nearest(rows.w), 3), found)
