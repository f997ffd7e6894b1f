"""Weights with the nearest sums: no choice, exponent or order that was tried is nearer."""

from dataclasses import replace
from itertools import product

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qnn.quant.rounding import nearest_sums
from qnn.quant.rounding.beam import beam
from qnn.quant.rounding.nearest_sums import SHIFTS, fit_best
from qnn.quant.rounding.quadratic import GridRows, descend, round_columns
from qnn.quant.search_exponent import search_exponent
from tests.quant.test_beam import large, triangle_of
from tests.quant.test_quadratic import PROBLEMS, lost, problem


@settings(max_examples=40)
@example({"seed": 2, "groups": 2, "rows": 3, "inputs": 2, "bits": 2, "terms": 1}, 0, 0, 0)
@given(PROBLEMS, st.booleans(), st.booleans(), st.booleans())
def test_each_row_gets_nearer_sums_than_a_single_choice_with_any_exponent(
    given, misses, bounded, thorough
):
    rows, moments = problem(**given)
    other = replace(rows, w=rows.w * 1.3 + 0.1) if misses else rows
    missing = (other.w - rows.w) @ moments if misses else None
    least = rows.exponent.min().expand_as(rows.exponent) if bounded else None
    found, exponent = fit_best(rows, moments, missing, 1, least, thorough)
    tried = [rows.exponent + shift for shift in SHIFTS]
    if bounded:
        assert bool((exponent >= least).all())
        tried = [each.maximum(least) for each in tried]
    assert bool(torch.stack([exponent == each for each in tried]).any(0).all())
    assert torch.equal(replace(rows, exponent=exponent).nearest(found), found)
    single = [
        beam(replace(other, exponent=each), triangle_of(moments), 1)[1][:, :, 0] for each in tried
    ]
    got, best = lost(other, moments, found), torch.stack(single).amin(0)
    assert bool((got <= best * (1 + 1e-6)).all())
    # Rows of zeros say nothing of an exponent.
    assert torch.equal(exponent[~found.any(2)], tried[0][~found.any(2)])


def moments_of(inputs, together, groups, generator):
    """Of operands that go together more or less, (groups, inputs, inputs)."""
    x = torch.randn(groups, 4 * inputs, inputs, generator=generator).double()
    mix = torch.randn(groups, inputs, inputs, generator=generator).double()
    x = x @ (torch.eye(inputs).double() + together * mix)
    return x.transpose(1, 2) @ x / (4 * inputs)


@pytest.mark.parametrize("together", [0.0, 0.03, 0.12, 1.0])
@pytest.mark.parametrize(
    ("bits", "terms", "groups", "rows", "inputs"),
    [(3, 1, 1, 16, 72), (4, 1, 1, 16, 72), (3, 2, 1, 16, 72), (3, 1, 48, 1, 9), (4, 1, 48, 1, 9)],
)
def test_it_loses_hardly_more_than_the_best_of_sixteen_orders(
    bits, terms, groups, rows, inputs, together
):
    generator = torch.Generator().manual_seed(0)
    w = torch.randn(groups * rows, inputs, generator=generator)
    grid = GridRows.of(w, search_exponent(w, bits, terms), groups, bits, terms)
    moments = moments_of(inputs, together, groups, generator)
    best = []
    for number, shift in product(range(16), SHIFTS):
        other = replace(grid, exponent=grid.exponent + shift)
        order = torch.randperm(inputs, generator=torch.Generator().manual_seed(number))
        start = round_columns(other, moments, order.expand(groups, -1))
        best.append(lost(grid, moments, descend(other, moments, start, 2)))
    found, _ = fit_best(grid, moments, None, 2)
    assert lost(grid, moments, found).sum() <= 1.05 * torch.stack(best).amin(0).sum()


def test_several_choices_end_nearer_than_one():
    rows, moments = large()
    one, narrow, wide = (
        lost(rows, moments, found).sum()
        for found in (
            descend(rows, moments, round_columns(rows, moments), 9),
            fit_best(rows, moments, None, 2, thorough=False)[0],
            fit_best(rows, moments, None, 2)[0],
        )
    )
    assert wide < 0.93 * narrow < 0.93 * one


def test_of_large_layers_fewer_choices_and_orders_are_tried(monkeypatch):
    rows, moments = large()
    widths, really = [], nearest_sums.beam

    def spy(rows, triangle, width):
        widths.append((len(triangle.order), width))
        return really(rows, triangle, width)

    monkeypatch.setattr(nearest_sums, "beam", spy)
    fit_best(rows, moments, None, 2)
    monkeypatch.setattr(nearest_sums, "VALUES", 5 * rows.w.numel())
    fit_best(rows, moments, None, 2)
    monkeypatch.setattr(nearest_sums, "ORDER_VALUES", 3 * moments.numel())
    fit_best(rows, moments, None, 2)
    monkeypatch.setattr(nearest_sums, "ORDER_VALUES", 1)
    fit_best(rows, moments, None, 2)
    assert widths == [(8, 2), (1, 64), (8, 1), (1, 5), (3, 1), (1, 5), (1, 1), (1, 5)]
