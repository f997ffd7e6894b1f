"""Groups of rows: every row is in one, and all of a layer is what its groups are together."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qnn.ir.families import families
from qnn.ptq.auto.row_groups import MOST_GROUPS, USUAL_ROWS, RowGroups
from qnn.ptq.export import export
from tests.compiler.small_graphs import conv, graph, image
from tests.ptq.trained import calibrated_on, classifier


def chain(rows):
    """Two layers that must have one order, and one whose channels are the network's."""
    x = image(3)
    first = conv("first", x, rows)
    deep = conv("deep", first, rows, codes=np.ones((1, rows, 1, 3, 3), np.int8), groups=rows)
    return graph(x, first, deep, conv("last", deep, 6))


def random_shares(rows, seed):
    generator = torch.Generator().manual_seed(seed)
    counts = {"first": rows, "deep": rows, "last": 6}
    found = {
        name: {k: torch.rand(count, generator=generator).double() for k in (1, 2)}
        for name, count in counts.items()
    }
    return {n: {k: v / v.sum() for k, v in each.items()} for n, each in found.items()}


LOSSES = {name: {1: 8.0, 2: 1.0, 3: 0.1, 4: 0.01} for name in ("first", "deep", "last")}
COSTS = {name: {k: 100.0 * k for k in range(1, 5)} for name in LOSSES}


@given(st.integers(1, 80), st.none() | st.sampled_from([1, 4, 16]), st.integers(0, 99))
def test_groups_are_all_of_their_layers(rows, at_a_time, seed):
    shares = random_shares(rows, seed)
    groups = RowGroups.of(chain(rows), LOSSES, shares, at_a_time)
    assert set(groups.rows) == set(LOSSES)
    losses, costs = groups.losses(LOSSES, shares), groups.costs(COSTS)
    for name, parts in groups.rows.items():
        assert sorted(itertools.chain(*parts)) == list(range(len(shares[name][1])))
        assert len(parts) <= MOST_GROUPS
        size = len(parts[0])
        assert size % (at_a_time or USUAL_ROWS) == 0 or len(parts) == 1
        assert all(len(part) == size for part in parts[:-1])
        for k in (1, 2, 3, 4):
            each = [(losses[name, n][k], costs[name, n][k]) for n in range(len(parts))]
            assert sum(loss for loss, _ in each) == pytest.approx(LOSSES[name][k])
            assert sum(cost for _, cost in each) == pytest.approx(COSTS[name][k])
    # Channels that must have one order are computed together in both.
    assert groups.rows["first"] == groups.rows["deep"]
    if rows > USUAL_ROWS:
        lost = shares["first"][1] + shares["deep"][1]
        sums = [float(lost[list(part)].mean()) for part in groups.rows["first"]]
        assert sums == sorted(sums, reverse=True)


def test_the_order_of_results_is_the_users():
    shares = random_shares(8, 0)
    assert groups_of(chain(8), shares, 4).rows["last"] == [(0, 1, 2, 3), (4, 5)]
    (fixed,) = [f for f in families(chain(8)) if "last" in f.names]
    assert fixed.fixed


def groups_of(network, shares, at_a_time):
    return RowGroups.of(network, LOSSES, shares, at_a_time)


def test_a_last_group_of_few_rows_costs_as_many_steps_as_others():
    groups = groups_of(chain(20), random_shares(20, 0), 16)
    assert groups.weights["first"] == [0.5, 0.5]
    # Without hardware each row is its own product.
    assert groups_of(chain(20), random_shares(20, 0), None).weights["first"] == [0.8, 0.2]


@given(st.integers(1, 40), st.integers(0, 99))
def test_terms_stand_at_their_rows(rows, seed):
    groups = groups_of(chain(rows), random_shares(rows, seed), 4)
    parts = {part: 1 + (number % 3) for number, part in enumerate(groups.costs(COSTS))}
    for name, terms in groups.terms(parts).items():
        count = sum(map(len, groups.rows[name]))
        found = (terms,) * count if isinstance(terms, int) else terms
        assert len(found) == count
        # A layer that has one number says it as one.
        assert isinstance(terms, int) == (len(set(found)) == 1)
        for number, group in enumerate(groups.rows[name]):
            assert {found[row] for row in group} == {parts[name, number]}


def test_a_residual_sum_and_its_operands_have_the_same_groups():
    model, images = classifier()
    network = export(calibrated_on(model, images).build(1, "auto"))
    counts = {"first.0": 8, "inner": 8, "grouped": 12, "head": 6}
    losses = dict.fromkeys(counts, LOSSES["first"])
    shares = {n: {1: torch.full((c,), 1 / c).double()} for n, c in counts.items()}
    rows = RowGroups.of(network, losses, shares, 4).rows
    assert rows["first.0"] == rows["inner"] == [(0, 1, 2, 3), (4, 5, 6, 7)]
    assert len(rows["grouped"]) == 3
