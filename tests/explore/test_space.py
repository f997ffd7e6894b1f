"""Every vector of a space is a design that can be built, and goes to a point and back."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnn.errors import ArgumentError
from qnn.explore.choices import NAMES, USUAL, choices_in
from qnn.explore.groups import gain, grouped, path
from qnn.explore.methods.greedy import halves
from qnn.explore.point import ClockInterval
from qnn.explore.space import make_space
from tests.explore.landscape import LAYERS, PROFILE, SIZES, space

SPACE = space("lut<60000")
VECTORS = st.randoms(use_true_random=False).map(SPACE.sample)


@given(VECTORS)
def test_a_vector_goes_to_a_point_and_back(vector):
    point = SPACE.point(vector)
    assert SPACE.vector(point) == vector
    assert set(point.terms) == set(LAYERS)
    assert point.size.rows <= point.size.lanes
    assert SPACE.cells(vector)["lut"].value <= 60000
    encoded = SPACE.encode(vector)
    assert len(encoded) == SPACE.dimensions
    assert all(0 <= each <= 1 for each in encoded)


@given(VECTORS)
def test_neighbours_are_designs_that_differ_in_one_dimension(vector):
    near = list(SPACE.neighbours(vector))
    assert near
    for other in near:
        assert SPACE.vector(SPACE.point(other)) == other
        assert sum(a != b for a, b in zip(vector, other, strict=True)) == 1
        assert vector in SPACE.neighbours(other)


@given(st.tuples(*(st.integers(0, length - 1) for length in SPACE.lengths)))
def test_any_positions_are_repaired_to_a_design(positions):
    repaired = SPACE.repaired(positions)
    assert SPACE.vector(SPACE.point(repaired)) == repaired
    assert SPACE.split(repaired)[0] == SPACE.split(positions)[0]
    if SPACE.split(positions)[1] in SPACE.found:
        assert repaired == positions


def test_points_of_another_space_have_no_vector():
    point = SPACE.point((0,) * 5 + SPACE.hardware[0])
    assert SPACE.vector(replace(point, cores=4)) is None
    assert SPACE.vector(point.with_terms({"a": 1})) is None
    assert SPACE.vector(point.with_terms(point.terms | {"a": (1, 2)})) is None
    assert SPACE.vector(replace(point, clock=ClockInterval(1, 2, 3))) is None
    pairs = make_space((("a", "b"), ("c", "d", "e")), {**USUAL, **SIZES}, ())
    assert pairs.vector(point.with_terms({"a": 1, "b": 1, "c": 2, "d": 2, "e": 2})) is not None
    assert pairs.vector(point.with_terms({"a": 1, "b": 2, "c": 2, "d": 2, "e": 2})) is None


@given(st.integers(1, 8))
def test_groups_hold_each_layer_once_those_that_gain_most_first(most):
    groups = grouped(PROFILE, most)
    assert len(groups) == min(most, len(LAYERS))
    order = [layer for group in groups for layer in group]
    assert sorted(order) == sorted(LAYERS)
    gains = [gain(PROFILE, layer) for layer in order]
    assert gains == sorted(gains, reverse=True)


def test_the_usual_space_has_few_dimensions():
    usual = make_space(tuple((name,) for name in "abcdefgh"), USUAL, ())
    assert usual.dimensions < 20
    assert usual.size > 1e6


def test_the_path_gives_the_first_terms_where_they_gain_most():
    walked = path(PROFILE, grouped(PROFILE, 5), (1, 2, 3))
    assert walked.more[0] == "0"
    assert list(walked.losses) == sorted(walked.losses, reverse=True)
    assert len(walked.more) == 10


@given(st.integers(1, 70))
def test_halves_name_each_number_once_and_the_ends_first(count):
    found = halves(count)
    assert sorted(set(found)) == list(range(count))
    assert len(found) == count
    assert found[:2] == [0, count - 1][:count]


def test_choices_are_read_from_texts():
    found = choices_in(["lanes=16,8", "cores=2"])
    assert found["lanes"] == (8, 16)
    assert found["cores"] == (2,)
    assert found["terms"] == USUAL["terms"]
    assert set(found) == set(NAMES)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: choices_in(["size=3"]), "a choice needs NAME=NUMBER,NUMBER with a name of terms"),
        (lambda: choices_in(["lanes=x"]), "a choice needs NAME=NUMBER,NUMBER"),
        (lambda: choices_in(["terms=0,1"]), "terms needs values from 1 to 4, not '0,1'"),
        (lambda: space(lanes=(8,), rows=(16,)), "the space is empty: no array has such sizes"),
        (lambda: space("lut<1000"), "constraint lut<1000 is impossible: designs of this space "),
        (lambda: space("lut<11000,bram18>90"), "constraints lut<11000 and bram18>90 are imposs"),
        (lambda: space(lanes=tuple(range(1, 65)), rows=tuple(range(1, 65)),
                       columns=tuple(range(1, 65))), "the space has 1,048,576 combinations"),
    ],
)  # fmt: skip
def test_spaces_without_designs_are_refused_in_one_line(call, text):
    with pytest.raises(ArgumentError) as refused:
        call()
    assert str(refused.value).startswith(text)
    assert "\n" not in str(refused.value)
