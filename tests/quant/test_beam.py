"""Several choices of columns followed at a time: what holds for every problem."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qnn.quant.rounding import beam as module
from qnn.quant.rounding.beam import ROUNDS, Triangle, beam, column_order
from qnn.quant.rounding.quadratic import inverse_of, round_columns
from tests.quant.test_quadratic import PROBLEMS, lost, of_group, problem


@settings(max_examples=60)
@given(PROBLEMS, st.integers(1, 9))
def test_choices_are_different_values_of_the_grid_and_best_first(given, width):
    rows, moments = problem(**given)
    found, cost = beam(rows, Triangle.of(moments), width)
    assert found.shape[2] == min(width, 2 ** rows.w.shape[2])
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
    found, _ = beam(rows, Triangle.of(moments), 1)
    order = column_order(inverse_of(moments))
    assert torch.equal(found[:, :, 0], round_columns(rows, moments, order))


@settings(max_examples=60)
@given(PROBLEMS, st.integers(1, 8))
def test_no_beam_is_better_than_that_of_all_choices(given, width):
    rows, moments = problem(**given)
    _, narrow = beam(rows, Triangle.of(moments), width)
    _, whole = beam(rows, Triangle.of(moments), 2 ** rows.w.shape[2])
    assert bool((whole[:, :, 0] <= narrow[:, :, 0] * (1 + 1e-9)).all())


@settings(max_examples=40)
@given(PROBLEMS, st.integers(1, 8))
def test_each_group_is_rounded_as_if_it_were_alone(given, width):
    rows, moments = problem(**given)
    found, cost = beam(rows, Triangle.of(moments), width)
    for group in range(len(found)):
        one = slice(group, group + 1)
        own, told = beam(of_group(rows, group), Triangle.of(moments[one]), width)
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
    triangle = Triangle.of(moments)
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
    found, cost = beam(rows, Triangle.of(moments), 8)
    monkeypatch.setattr(module, "BLOCK", block)
    again, told = beam(rows, Triangle.of(moments), 8)
    assert torch.allclose(told, cost)
    assert torch.equal(again[:, :, 0], found[:, :, 0])
