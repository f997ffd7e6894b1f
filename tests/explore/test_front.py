"""Fronts, hypervolumes of known ones, picks, and goals as texts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnn.errors import ArgumentError
from qnn.explore.evaluation import Evaluated, Fidelity
from qnn.explore.front import front, hypervolume, non_dominated, pick
from qnn.explore.goals import (
    Constraint,
    Goals,
    check_reachable,
    constraints_in,
    objectives_in,
)
from qnn.explore.point import Point
from tests.explore.subjects import evaluation

POINTS = st.integers(2, 4).flatmap(
    lambda width: st.lists(
        st.lists(st.integers(0, 5), min_size=width, max_size=width), min_size=1, max_size=7
    )
)


@given(POINTS)
def test_a_front_is_what_nothing_dominates(points):
    values = np.array(points, float)
    kept = non_dominated(values)
    assert kept.any()
    for n, row in enumerate(values):
        beaten = [(o >= row).all() and (o > row).any() for o in values]
        doubled = any((o == row).all() for o in values[:n])
        assert kept[n] == (not any(beaten) and not doubled)


@given(POINTS)
def test_the_hypervolume_is_that_of_the_unit_cubes_below_the_points(points):
    values = np.array(points, float)
    width = values.shape[1]
    cubes = np.stack(np.meshgrid(*[np.arange(5)] * width, indexing="ij"), -1).reshape(-1, width)
    counted = sum(bool((values >= cube + 1).all(1).any()) for cube in cubes)
    assert hypervolume(values, np.zeros(width)) == pytest.approx(counted)


def test_the_hypervolume_of_known_fronts():
    assert hypervolume(np.array([[1.0, 3.0], [2.0, 2.0], [3.0, 1.0]]), np.zeros(2)) == 6.0
    corner = np.eye(3) + 1.0
    assert hypervolume(corner, np.zeros(3)) == pytest.approx(4.0)
    # A plane of many points comes near to the tetrahedron's volume below it.
    grid = [(a, b, 30 - a - b) for a in range(31) for b in range(31 - a)]
    volume = hypervolume(np.array(grid) / 30.0, np.zeros(3))
    assert volume == pytest.approx(1 / 6, rel=0.1)
    assert hypervolume(np.zeros((0, 2)), np.zeros(2)) == 0.0


def test_designs_beyond_a_constraint_or_without_one_are_in_no_front():
    goals = Goals(("fps", "lut"), (Constraint("lut", True, 50.0),))
    designs = [
        evaluation(fps=1.0, lut=10.0),
        evaluation(fps=2.0, lut=20.0),
        evaluation(fps=1.5, lut=30.0),
        evaluation(fps=9.0, lut=60.0),
        Evaluated(Point(), Fidelity.QUICK, failure="it does not fit"),
    ]
    assert front(designs, goals) == [designs[1], designs[0]]
    assert [goals.violation(each) for each in designs] == [0.0, 0.0, 0.0, 0.2, float("inf")]
    assert front([], goals) == []


def test_picks_are_what_their_words_say():
    goals = Goals(("fps", "lut"))
    designs = [evaluation(fps=fps, lut=lut) for fps, lut in ((1.0, 1.0), (8.0, 2.0), (10.0, 16.0))]
    assert pick(designs, goals, "knee") == designs[1]
    assert pick(designs, goals, "fastest") == designs[2]
    assert pick(designs, goals, "smallest") == designs[0]
    assert pick(designs[:1], goals, "knee") == designs[0]
    with pytest.raises(ArgumentError, match="pick needs one of knee, fastest, smallest, not 'b'"):
        pick(designs, goals, "b")


def test_goals_are_read_from_texts():
    assert objectives_in("accuracy, fps,lut") == ("accuracy", "fps", "lut")
    found = constraints_in("lut<205560, accuracy>=90")
    assert found == (Constraint("lut", True, 205560.0), Constraint("accuracy", False, 90.0))
    assert [str(each) for each in found] == ["lut<205560", "accuracy>90"]
    assert constraints_in(None) == ()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: objectives_in("speed,lut"), "objectives need metrics of accuracy, lost, fps, "),
        (lambda: objectives_in("lut"), "objectives need two or more metrics, each once, not 'lut'"),
        (lambda: objectives_in("lut,lut"), "objectives need two or more metrics, each once"),
        (lambda: constraints_in("lut=3"), "constraints need METRIC<NUMBER or METRIC>NUMBER"),
        (lambda: constraints_in("lut<1e"), "constraints need METRIC<NUMBER or METRIC>NUMBER"),
        (lambda: constraints_in("lut<1e999"), "constraints need METRIC<NUMBER or METRIC>NUMBER"),
        (lambda: constraints_in("size<3"), "constraints need metrics of accuracy, lost, fps"),
        (lambda: constraints_in("lut<3,lut>5"), "constraints lut>5 and lut<3 contradict each"),
    ],
)
def test_goals_that_mean_nothing_are_refused(call, text):
    with pytest.raises(ArgumentError) as refused:
        call()
    assert str(refused.value).startswith(text)


def test_what_no_design_can_reach_is_refused_before_any_work():
    accurate = Goals(("accuracy", "lut"), constraints_in("accuracy>95"))
    with pytest.raises(ArgumentError, match=r"accuracy>95 is impossible: the float network has 91"):
        check_reachable(accurate, 91.7)
    with pytest.raises(ArgumentError, match="accuracy needs labelled test images"):
        check_reachable(accurate, None)
    with pytest.raises(ArgumentError, match="constraint lut<-1 is impossible: no lut is below 0"):
        check_reachable(Goals(("fps", "lut"), constraints_in("lut<-1")), None)
    check_reachable(Goals(("fps", "lut"), constraints_in("lut<9")), None)
