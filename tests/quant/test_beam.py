"""Several choices of columns followed at a time: what holds for every problem."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qnn.quant.rounding import beam as module
from qnn.quant.rounding.beam import ROUNDS, Triangle, beam, column_order
from qnn.quant.rounding.quadratic import GridRows, damped, inverse_of, round_columns
from tests.quant.test_quadratic import PROBLEMS, lost, of_group, problem


def triangle_of(moments):
    """The problem in the order that leaves the last errors least."""
    inverse = inverse_of(moments)
    return Triangle.of(moments, inverse, column_order(inverse)[None])


@settings(max_examples=60)
@given(PROBLEMS, st.integers(1, 9))
def test_choices_are_different_values_of_the_grid_and_best_first(given, width):
    rows, moments = problem(**given)
    found, cost = beam(rows, triangle_of(moments), width)
    assert found.shape[2] == min(width, 2 ** rows.w.shape[2])
    alone = (moments.count_nonzero(2) == 1)[:, None, None]
    nearest = rows.nearest(rows.w)[:, :, None].expand_as(found)
    assert torch.equal(found.where(alone, 0), nearest.where(alone, 0))
    for choice, told in zip(found.unbind(2), cost.unbind(2), strict=True):
        assert torch.equal(rows.nearest(choice), choice)
        really = lost(rows, moments, choice)
        assert torch.allclose(really[told.isfinite()], told[told.isfinite()])
    # The difference of two infinite ones is no number.
    assert not bool((cost.diff(dim=2) < 0).any())
    for choices, told in zip(found.flatten(0, 1), cost.flatten(0, 1), strict=True):
        some = choices[told.isfinite()]
        assert len(some) == len(some.unique(dim=0)) > 0


@settings(max_examples=60)
@given(PROBLEMS)
def test_one_choice_is_rounding_in_order(given):
    rows, moments = problem(**given)
    found, _ = beam(rows, triangle_of(moments), 1)
    order = column_order(inverse_of(moments))
    assert torch.equal(found[:, :, 0], round_columns(rows, moments, order))


@settings(max_examples=60)
@given(PROBLEMS, st.integers(1, 8))
def test_no_beam_is_better_than_that_of_all_choices(given, width):
    rows, moments = problem(**given)
    _, narrow = beam(rows, triangle_of(moments), width)
    _, whole = beam(rows, triangle_of(moments), 2 ** rows.w.shape[2])
    assert bool((whole[:, :, 0] <= narrow[:, :, 0] * (1 + 1e-9)).all())


@settings(max_examples=40)
@given(PROBLEMS, st.integers(1, 8))
def test_each_group_is_rounded_as_if_it_were_alone(given, width):
    rows, moments = problem(**given)
    found, cost = beam(rows, triangle_of(moments), width)
    for group in range(len(found)):
        one = slice(group, group + 1)
        own, told = beam(of_group(rows, group), triangle_of(moments[one]), width)
        assert torch.allclose(told, cost[one])
        same = lost(rows, moments, found[:, :, 0])[one]
        assert torch.allclose(lost(of_group(rows, group), moments[one], own[:, :, 0]), same)


@settings(max_examples=40)
@given(PROBLEMS)
def test_the_next_column_is_the_one_whose_error_is_taken_up_least(given):
    _, moments = problem(**given)
    inverse = inverse_of(moments)
    order = column_order(inverse)
    assert bool((order.sort(1).values == torch.arange(moments.shape[1])).all())
    for group, columns in enumerate(order.tolist()):
        for place in range(len(columns)):
            left = columns[place:]
            # Of those that are left each one's error, when all others of them take it up.
            alone = inverse_of(moments[group][left][:, left][None])[0].diagonal()
            assert float(alone[0]) <= float(alone.min()) * (1 + 1e-6)


def test_many_columns_are_ordered_some_at_a_time():
    inputs = 2 * ROUNDS + 1
    x = torch.randn(4 * inputs, inputs, generator=torch.Generator().manual_seed(0)).double()
    moments = (x.T @ x / len(x))[None]
    triangle = triangle_of(moments)
    assert triangle.order.sort(1).values.tolist() == [list(range(inputs))]
    assert bool(torch.isfinite(triangle.factor).all())


def large(inputs=72, rows=16):
    """Rows over operands that go together."""
    generator = torch.Generator().manual_seed(0)
    given = problem(0, 1, rows, inputs, 3, 1)[0]
    x = torch.randn(4 * inputs, inputs, generator=generator).double()
    x = x @ (torch.eye(inputs) + torch.randn(inputs, inputs, generator=generator) / 8).double()
    return given, (x.T @ x / len(x))[None]


@pytest.mark.parametrize("block", [1, 7, 100])
def test_blocks_of_any_size_give_the_same(monkeypatch, block):
    rows, moments = large()
    found, cost = beam(rows, triangle_of(moments), 8)
    monkeypatch.setattr(module, "BLOCK", block)
    again, told = beam(rows, triangle_of(moments), 8)
    assert torch.allclose(told, cost)
    assert torch.equal(again[:, :, 0], found[:, :, 0])


def test_of_values_in_the_middle_and_of_equal_choices_the_nearest_is_first():
    # On a grid of 0, 1/4, 1/2 and 1, and of operands that do not go together.
    w = torch.tensor([[0.75, -0.75, 0.375, -0.375, 0.125, -0.125, 2.0, 0.0]]).double()
    rows = GridRows(w[None], torch.zeros(1, 1), 3, 1)
    alone = torch.zeros(1, 8, dtype=torch.bool)
    apart = Triangle(torch.arange(8)[None], torch.eye(8).double()[None], alone)
    found, _ = beam(rows, apart, 1)
    assert torch.equal(found[:, :, 0], rows.nearest(rows.w))
    assert found[0, 0, 0].tolist() == [1, -1, 0.5, -0.5, 0.25, -0.25, 1, 0]


def test_operands_that_are_always_zero_are_no_choices():
    rows, moments = large()
    moments = 100 * moments
    moments[:, 60:], moments[:, :, 60:] = 0, 0
    moments = damped(moments, 0.01)
    found, _ = beam(rows, triangle_of(moments), 16)
    assert torch.equal(found[..., 60:], rows.nearest(rows.w)[:, :, None, 60:].expand(1, 16, 16, 12))
    for choices in found[0, ..., :60]:
        assert len(choices.unique(dim=0)) == 16


def test_several_orders_are_groups_of_their_own():
    rows, moments = problem(7, 2, 3, 12, 3, None)
    inverse = inverse_of(moments)
    orders = torch.stack([column_order(inverse), torch.arange(12).expand(2, -1)])
    twice = GridRows(rows.w.repeat(2, 1, 1), rows.exponent.repeat(2, 1), rows.bits, rows.terms * 2)
    both, cost = beam(twice, Triangle.of(moments, inverse, orders), 4)
    for number in range(2):
        one = Triangle.of(moments, inverse, orders[number : number + 1])
        found, lost = beam(rows, one, 4)
        part = slice(2 * number, 2 * number + 2)
        assert torch.allclose(cost[part], lost)
        assert torch.equal(both[part][:, :, 0], found[:, :, 0])
