"""Weights with the nearest sums: no choice, exponent or order that was tried is nearer."""

from dataclasses import replace

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qnn.quant.rounding import nearest_sums
from qnn.quant.rounding.beam import Triangle, beam
from qnn.quant.rounding.nearest_sums import SHIFTS, fit_best
from qnn.quant.rounding.quadratic import descend, round_columns
from tests.quant.test_beam import large
from tests.quant.test_quadratic import PROBLEMS, lost, problem


@settings(max_examples=40)
@given(PROBLEMS, st.booleans(), st.booleans(), st.integers(1, 9))
def test_each_row_gets_nearer_sums_than_a_single_choice_with_any_exponent(
    given, misses, bounded, width
):
    rows, moments = problem(**given)
    other = replace(rows, w=rows.w * 1.3 + 0.1) if misses else rows
    missing = (other.w - rows.w) @ moments if misses else None
    least = rows.exponent.min().expand_as(rows.exponent) if bounded else None
    found, exponent = fit_best(rows, moments, missing, 1, least, width)
    tried = [rows.exponent + shift for shift in SHIFTS]
    if bounded:
        assert bool((exponent >= least).all())
        tried = [each.maximum(least) for each in tried]
    assert bool(torch.stack([exponent == each for each in tried]).any(0).all())
    assert torch.equal(replace(rows, exponent=exponent).nearest(found), found)
    alone = [
        beam(replace(other, exponent=each), Triangle.of(moments), 1)[1][:, :, 0] for each in tried
    ]
    got, best = lost(other, moments, found), torch.stack(alone).amin(0)
    # Rows of zeros stay as they were, as they say nothing of an exponent.
    zeros = lost(other, moments, torch.zeros_like(found))
    kept = torch.isclose(best, zeros) & (exponent == rows.exponent)
    assert bool(((got <= best * (1 + 1e-6)) | kept).all())


def test_several_choices_end_nearer_than_one():
    rows, moments = large()
    one = lost(rows, moments, descend(rows, moments, round_columns(rows, moments), 9)).sum()
    narrow, wide = (fit_best(rows, moments, None, 2, width=width) for width in (1, 32))
    narrow, wide = (
        lost(replace(rows, exponent=exponent), moments, found).sum()
        for found, exponent in (narrow, wide)
    )
    assert wide < 0.95 * narrow < 0.95 * one


def test_of_large_layers_fewer_choices_are_followed(monkeypatch):
    rows, moments = large()
    wanted = fit_best(rows, moments, None, 2, width=3)
    monkeypatch.setattr(nearest_sums, "VALUES", 3 * rows.w.numel())
    for one, other in zip(fit_best(rows, moments, None, 2), wanted, strict=True):
        assert torch.equal(one, other)
    monkeypatch.setattr(nearest_sums, "VALUES", 1)
    wanted = fit_best(rows, moments, None, 2, width=1)
    assert torch.equal(fit_best(rows, moments, None, 2)[0], wanted[0])
