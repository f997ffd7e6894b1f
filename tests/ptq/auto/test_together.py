"""Losses of layers in whole designs: measured as far as time allows, the rest as the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnn.ptq.auto.parts import NEXT_TERM
from qnn.ptq.auto.together import together

ALONE = {
    "a": {1: 1.0, 2: 0.1},
    "b": {1: 4.0, 2: 0.5},
    "c": {1: 2.0, 2: 0.1},
    "d": {1: 0.0, 2: 0.0},
}


def measured(without, count=9):
    """The losses, and what was asked for, where ``count`` designs may be built."""
    asked = []

    def loss_without(name):
        asked.append(name)
        return None if len(asked) > count else without[name]

    return together(ALONE, loss_without), asked


WHOLE = {None: 1.0, "a": 1.5, "b": 2.0, "c": 4.0, "d": 1.0}


def test_each_layer_loses_what_the_design_loses_more_with_one_term_of_it():
    found, asked = measured(WHOLE)
    # The whole design first, then layers by what they lose alone.
    assert asked == [None, "b", "c", "a", "d"]
    assert {name: each[1] for name, each in found.items()} == {"a": 0.5, "b": 1, "c": 3, "d": 0}
    # More terms lose less in proportion.
    assert found["b"][2] == pytest.approx(0.125)
    assert list(found) == list(ALONE)


def test_what_is_better_without_a_term_by_chance_is_not_nothing():
    found, _ = measured(WHOLE | {"c": 0.5})
    assert found["c"][1] == ALONE["c"][1] / NEXT_TERM


def test_what_time_is_over_for_changes_as_the_others_did():
    found, _ = measured(WHOLE, 3)
    assert (found["b"][1], found["c"][1]) == (1, 3)
    # Both together are 4 of 6.
    assert found["a"] == pytest.approx({1: 4 / 6, 2: 0.4 / 6})


@pytest.mark.parametrize("count", [0, 1])
def test_without_time_what_is_lost_alone_is_all_that_is_known(count):
    assert measured(WHOLE, count)[0] == ALONE


@given(st.lists(st.floats(0, 10), min_size=5, max_size=5), st.integers(0, 6))
def test_no_more_terms_lose_more(losses, count):
    found, _ = measured(dict(zip(WHOLE, losses, strict=True)), count)
    for each in found.values():
        assert 0 <= each[2] <= each[1]
