"""The order in which layers get more terms, and what more terms are predicted to lose."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from qnn.explore.path import path_of

TERMS = range(1, 5)
LOSS = st.integers(0, 1000).map(float)
ANY = st.lists(
    st.tuples(
        st.lists(LOSS, min_size=4, max_size=4),
        st.lists(st.integers(0, 50), min_size=4, max_size=4),
    ),
    min_size=1,
    max_size=5,
)


def problem(cases):
    """Losses and costs by layer; costs never fall with more terms."""
    losses = {f"l{i}": dict(zip(TERMS, found, strict=True)) for i, (found, _) in enumerate(cases)}
    costs = {
        f"l{i}": dict(zip(TERMS, map(float, itertools.accumulate(steps)), strict=True))
        for i, (_, steps) in enumerate(cases)
    }
    return losses, costs


@settings(max_examples=100)
@given(ANY)
def test_terms_only_grow_from_the_fewest_to_the_most(cases):
    losses, costs = problem(cases)
    path = path_of(losses, costs)
    assert path.terms(0) == dict.fromkeys(losses, 1)
    assert path.terms(len(path.more)) == dict.fromkeys(losses, 4)
    assert len(path.more) == 3 * len(losses)
    for step in range(len(path.more)):
        now, then = path.terms(step), path.terms(step + 1)
        assert sum(then.values()) == sum(now.values()) + 1
        assert all(then[name] >= now[name] for name in now)
        assert path.costs[step + 1] >= path.costs[step]
        assert path.losses[step] == sum(losses[name][k] for name, k in now.items())
    assert path.costs[0] == sum(found[1] for found in costs.values())


CONVEX = st.lists(
    st.tuples(
        # What each term takes off, for what it costs.
        st.lists(st.integers(0, 60), min_size=3, max_size=3, unique=True),
        st.integers(1, 20),
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=100)
@given(CONVEX)
def test_each_design_of_a_convex_path_is_the_best_of_its_cost(cases):
    """Where each term takes off less than the one before, nothing as cheap loses less."""
    losses, costs = {}, {}
    for number, (gains, price) in enumerate(cases):
        gains = sorted(gains, reverse=True)
        losses[f"l{number}"] = {k: float(price * sum(gains[k - 1 :])) for k in TERMS}
        costs[f"l{number}"] = {k: float(price * k) for k in TERMS}
    path = path_of(losses, costs)

    def summed(table, terms):
        return sum(table[name][k] for name, k in terms.items())

    every = [
        dict(zip(losses, terms, strict=True))
        for terms in itertools.product(TERMS, repeat=len(losses))
    ]
    for step in range(len(path.more) + 1):
        terms = path.terms(step)
        cost = summed(costs, terms)
        assert path.costs[step] == cost
        as_cheap = [other for other in every if summed(costs, other) <= cost]
        assert min(summed(losses, other) for other in as_cheap) == summed(losses, terms)


def test_several_terms_at_once_are_taken_where_the_first_alone_brings_little():
    losses = {"a": {1: 10.0, 2: 9.0, 3: 0.0}, "b": {1: 10.0, 2: 7.0, 3: 6.0}}
    costs = {name: {k: float(k) for k in (1, 2, 3)} for name in losses}
    assert path_of(losses, costs).more == ("a", "a", "b", "b")


def test_what_costs_nothing_more_comes_first():
    losses = {"a": {1: 10.0, 2: 0.0}, "b": {1: 1.0, 2: 0.5}}
    costs = {"a": {1: 1.0, 2: 2.0}, "b": {1: 5.0, 2: 5.0}}
    assert path_of(losses, costs).more == ("b", "a")


FALLING = st.lists(
    st.tuples(
        st.lists(LOSS, min_size=4, max_size=4, unique=True).map(lambda v: sorted(v, reverse=True)),
        st.lists(st.integers(0, 50), min_size=4, max_size=4),
    ),
    min_size=1,
    max_size=5,
)


@given(FALLING)
def test_losses_fall_where_every_term_takes_something_off(cases):
    path = path_of(*problem(cases))
    assert list(path.losses) == sorted(set(path.losses), reverse=True)
