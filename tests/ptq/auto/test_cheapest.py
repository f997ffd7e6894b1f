"""The search among designs, with made losses in place of networks."""

import numpy as np
import pytest

from qnn.ptq.auto.builder import Sketch
from qnn.ptq.auto.cheapest import CLOSELY, OTHERS, PROBES, Assessed, Cheapest
from qnn.ptq.auto.frontier import frontier
from qnn.ptq.auto.held_out import Loss
from qnn.ptq.auto.row_groups import RowGroups

LAYERS = tuple(f"c{number}" for number in range(8))
TARGET = 0.5
# Each second term takes as much off, for as much.
DESIGNS = frontier(
    {(name, 0): {1: 0.5, 2: 0.0} for name in LAYERS},
    {(name, 0): {1: 1.0, 2: 2.0} for name in LAYERS},
)
GROUPS = RowGroups({name: [(0,)] for name in LAYERS}, {name: [1.0] for name in LAYERS})


def step_of(design):
    return sum(value - 1 for value in design.terms.values())


def search(lost, *, learns=None, starts=("plain", "other"), late=lambda: False, target=TARGET):
    """A search over designs that lose ``lost(start, step)``, and what it judged and was told."""
    judged, best = [], []

    def loss(design):
        judged.append((design.start, step_of(design)))
        return Loss(lost(*judged[-1]), 0.01, lost(*judged[-1]))

    def learning(design):
        return None if learns is None else Loss(learns(step_of(design)), 0.01, 0.1)

    made = Cheapest(
        frontier=DESIGNS,
        groups=GROUPS,
        starts=starts,
        target=target,
        loss=loss,
        learning=learning,
        late=late,
        say=lambda *_: None,
        best=best.append,
    )
    one = Sketch(starts[0], GROUPS.terms(DESIGNS.terms(0)))
    found = made.find(Assessed(0, one, Loss(lost(starts[0], 0), 0.01, 1.0)))
    return found, judged, best


@pytest.mark.parametrize("enough", range(1, 9))
def test_the_cheapest_design_that_reaches_the_target_is_found(enough):
    found, judged, best = search(lambda _, step: 4.0 if step < enough else 0.3)
    assert (found.start, step_of(found)) == ("plain", enough)
    assert found in best
    assert len(judged) <= PROBES


def test_the_least_of_targets_is_reached():
    found, *_ = search(lambda _, step: 5e-4 if step < 6 else 0.0, target=1e-4)
    assert step_of(found) == 6


def test_a_loss_next_above_the_target_is_one_to_reckon_with():
    found, *_ = search(lambda _, step: np.nextafter(0.2, 1) if step < 6 else 0.2, target=0.2)
    assert step_of(found) == 6


def test_other_networks_are_built_a_few_times_where_everything_misses_closely():
    _, judged, _ = search(lambda *_: 0.52)
    assert len([start for start, _ in judged if start == "other"]) == OTHERS
    assert len(judged) <= PROBES + OTHERS


def test_what_misses_closely_is_built_from_another_network():
    def lost(start, step):
        return {"plain": 0.6, "other": 0.4}[start] if step >= 5 else 4.0

    found, judged, _ = search(lost)
    assert (found.start, step_of(found)) == ("other", 5)
    # What misses by more is not.
    assert {start for start, step in judged if step < 5} == {"plain"}


@pytest.mark.parametrize("first", [0.5, CLOSELY * TARGET + 0.01])
def test_what_reaches_the_target_or_is_far_from_it_is_built_once(first):
    _, judged, _ = search(lambda _, step: first if step < 8 else 0.1)
    assert {start for start, _ in judged} == {"plain"}


def test_late_no_other_network_is_tried():
    calls = []

    def late():
        calls.append(None)
        return len(calls) > 1

    _, judged, _ = search(lambda *_: 0.6, late=late)
    assert [start for start, _ in judged] == ["plain"]


def test_where_nothing_reaches_the_target_what_loses_least_is_taken():
    found, *_ = search(lambda _, step: 5.0 - 0.1 * min(step, 6))
    assert step_of(found) in range(6, 9)


def test_what_missed_closely_learns_from_the_network_that_came_nearest():
    def lost(start, step):
        return 4.0 if step < 4 else 0.4 if step > 4 else {"plain": 0.62, "other": 0.6}[start]

    found, _, best = search(lost, learns=lambda _: 0.45)
    assert (found.start, step_of(found), found.learnt) == ("other", 4, True)
    assert best[-1] == found


def test_what_learns_and_misses_is_not_taken():
    found, *_ = search(lambda _, step: 0.6 if step < 6 else 0.4, learns=lambda _: 0.55)
    assert (step_of(found), found.learnt) == (6, False)
