"""Designs that lose least for what they cost, beside all designs that there are."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnn.ptq.auto.frontier import BUDGETS, frontier

TERMS = range(1, 4)
CASES = st.lists(
    st.tuples(
        st.lists(st.integers(0, 1000), min_size=3, max_size=3),
        st.lists(st.integers(0, 50), min_size=3, max_size=3),
    ),
    min_size=1,
    max_size=4,
)


def problem(cases):
    """Losses and costs by part; costs never fall with more terms."""
    losses = {
        i: dict(zip(TERMS, map(float, found), strict=True)) for i, (found, _) in enumerate(cases)
    }
    costs = {
        i: dict(zip(TERMS, map(float, itertools.accumulate(steps)), strict=True))
        for i, (_, steps) in enumerate(cases)
    }
    return losses, costs


def summed(table, terms):
    return sum(table[name][k] for name, k in terms.items())


@settings(max_examples=150)
@given(CASES)
def test_no_design_that_is_cheaper_loses_less(cases):
    losses, costs = problem(cases)
    found = frontier(losses, costs)
    every = [dict(enumerate(terms)) for terms in itertools.product(TERMS, repeat=len(cases))]
    dearest, least = (max(summed(costs, each) for each in every), found.costs[0])
    # Costs are whole steps of the range: each part's is off by half a step at most.
    off = len(cases) * (dearest - least) / BUDGETS / 2 + 1e-9
    assert found.terms(0) == dict.fromkeys(losses, 1)
    for number, (cost, lost) in enumerate(zip(found.costs, found.losses, strict=True)):
        terms = found.terms(number)
        assert summed(losses, terms) == lost
        assert summed(costs, terms) == pytest.approx(cost, abs=off)
        if number:
            cheaper = [each for each in every if summed(costs, each) <= cost - off]
            assert all(summed(losses, each) >= lost for each in cheaper)
    assert found.losses[-1] == min(summed(losses, each) for each in every)


@given(CASES)
def test_losses_fall_and_costs_do_not(cases):
    found = frontier(*problem(cases))
    assert list(found.losses) == sorted(set(found.losses), reverse=True)
    assert list(found.costs) == sorted(found.costs)


def test_between_two_large_parts_smaller_ones_are_taken():
    """Where a part that gains most for its cost is large, smaller ones fill what lies between."""
    losses = {"large": {1: 9.0, 2: 0.0}, "a": {1: 2.0, 2: 0.0}, "b": {1: 1.0, 2: 0.0}}
    costs = {"large": {1: 4.0, 2: 8.0}, "a": {1: 1.0, 2: 2.0}, "b": {1: 1.0, 2: 2.0}}
    found = frontier(losses, costs)
    assert [found.terms(number) for number in range(len(found.costs))] == [
        {"large": 1, "a": 1, "b": 1},
        {"large": 1, "a": 2, "b": 1},
        {"large": 1, "a": 2, "b": 2},
        {"large": 2, "a": 1, "b": 1},
        {"large": 2, "a": 2, "b": 1},
        {"large": 2, "a": 2, "b": 2},
    ]


def test_what_costs_nothing_more_is_taken_at_once():
    losses = {"free": {1: 10.0, 2: 0.0}, "a": {1: 1.0, 2: 0.5}}
    costs = {"free": {1: 5.0, 2: 5.0}, "a": {1: 1.0, 2: 2.0}}
    found = frontier(losses, costs)
    assert found.costs[0] == found.costs[1]
    assert found.terms(1) == {"free": 2, "a": 1}


def test_where_nothing_costs_more_there_is_one_design_beside_the_first():
    found = frontier({"a": {1: 1.0, 2: 0.5}}, {"a": {1: 3.0, 2: 3.0}})
    assert [found.terms(number) for number in range(len(found.costs))] == [{"a": 1}, {"a": 2}]


def test_a_loss_below_nothing_is_none():
    found = frontier({"a": {1: 1.0, 2: -1e-16}}, {"a": {1: 1.0, 2: 2.0}})
    assert list(found.losses) == [1.0, 0.0]
