"""What is told of a search: which layers and rows have how many terms, and why."""

from qnn.ptq.auto.held_out import Loss
from qnn.ptq.auto.options import AutoResult
from qnn.ptq.auto.told import told


def lines(terms, losses=None, shares=None):
    return told(AutoResult(terms, Loss(0.4, 0.1, 0.02), 0.5, 1.25, losses or {}, shares or {}), "%")


LAST = "expected loss 0.40 +- 0.10 % (target 0.5), 1.25 times the cost of one term everywhere"


def test_layers_stand_by_their_terms_with_what_less_would_lose():
    losses = {"a": {1: 0.5, 2: 0.043}, "b": {1: 0.1, 2: 0.01}}
    assert lines({"a": 3, "b": 1, "c": 1}, losses) == [
        "3 terms: a (alone 0.043 with 2)",
        "1 term: all others",
        LAST,
    ]


def test_rows_stand_with_their_share():
    losses, shares = {"a": {1: 0.5, 2: 0.04}}, {"a": [0.1, 0.6, 0.2, 0.1]}
    assert lines({"a": (1, 2, 2, 1), "b": 1, "c": 1}, losses, shares) == [
        "2 terms: 2 of 4 rows of a (80 % of 0.5 with 1)",
        "1 term: all others",
        LAST,
    ]


def test_what_was_not_measured_has_no_reason():
    assert lines({"a": (1, 3), "b": 2}) == [
        "3 terms: 1 of 2 rows of a",
        "2 terms: b",
        "1 term: all other rows",
        LAST,
    ]
    assert lines({"a": (1, 1, 2)})[:2] == ["2 terms: 1 of 3 rows of a", "1 term: all other rows"]
    assert lines({}) == [LAST]


def test_the_other_layers_and_the_other_rows_are_told_apart():
    assert lines({"a": (1, 2), "b": 2, "c": 2})[:2] == [
        "2 terms: 1 of 2 rows of a, all others",
        "1 term: all other rows",
    ]


def test_many_layers_of_as_many_terms_are_counted():
    names = "abcdefghi"
    assert lines(dict.fromkeys(names, 1)) == ["1 term: all 9 layers", LAST]
    assert lines(dict.fromkeys(names[:8], 2))[0] == "2 terms: a, b, c, d, e, f, g, h"
