"""Exhaustive: every sum of a small layer, rounded as each quantizer does, and as we do."""

from itertools import product

import pytest
import torch

from qnn.functions.elementwise import IDENTITY
from qnn.functions.given import ROUNDINGS, GivenQuantizer
from qnn.ptq.given.shifts import both_halves, may_tie, shift_of
from qnn.ptq.given.sums import LayerSums, places_of
from qnn.ptq.given.tables import table_of

UNIT = 5  # of the sums; results have 2 places, so that three bits are cut off
REACH = 130
SUMS = torch.arange(-REACH, REACH + 1, dtype=torch.float64) * 2.0**-UNIT
BIASES = [0.0, 3 / 32, 0.01, -0.7, 0.125, -1 / 64]
RANGES = [(-8, 7, True), (0, 15, False), (-3, 3, True)]


def sums(bias, unit=UNIT, gain=1.0):
    one = torch.ones(1, dtype=torch.float64)
    return LayerSums(
        torch.tensor([unit]), one * -REACH, one * REACH, one * gain, one * bias, one[:, None]
    )


def steps_of(shift, x):
    """What the hardware makes of sums with that bias: halves go up."""
    whole = torch.floor((x + shift.bias) * 4 + 0.5)
    return whole.clamp(shift.low, shift.high)


def wanted(given, x, bias):
    return given(x + bias) * 4


@pytest.mark.parametrize(
    ("rounding", "range_"), [*product(sorted(ROUNDINGS.keys() - {"SIGN"}), RANGES)]
)
def test_a_shift_has_the_integers_of_every_sum_or_there_is_none(rounding, range_):
    least, most, signed = range_
    given = GivenQuantizer(0.25, 0, least, most, 4, signed, rounding)
    found = 0
    for bias in BIASES:
        shift = shift_of(sums(bias), given)
        if shift is not None:
            found += 1
            # The bias has whole steps of the sums, so that the hardware can hold it.
            assert float(shift.bias * 2**UNIT) % 1 == 0
            assert torch.equal(steps_of(shift, SUMS), wanted(given, SUMS, bias))
    # Halves that go up, and what cuts off, are a shift always; others where no sum is a half.
    assert found >= (len(BIASES) if rounding in ("UP", "FLOOR", "CEIL") else 0)
    assert rounding not in ("EVEN", "DPU") or 0 < found < len(BIASES)


@pytest.mark.parametrize("bias", BIASES)
def test_no_sum_is_a_half_where_that_is_said(bias):
    halves = ((SUMS + bias) * 4 % 1 == 0.5).any()
    assert may_tie(sums(bias), 2) == bool(halves)


@pytest.mark.parametrize(("rounding", "bias"), [*product(["EVEN", "DPU", "ZERO"], BIASES)])
@pytest.mark.parametrize("range_", RANGES[::2])
@pytest.mark.parametrize("unit", [UNIT, 2, 1])
def test_two_shifts_tell_the_integer_of_every_sum(rounding, bias, range_, unit):
    least, most, signed = range_
    given, x = (
        GivenQuantizer(0.25, 0, least, most, 4, signed, rounding),
        SUMS * 2.0 ** (UNIT - unit),
    )
    halves = both_halves(sums(bias, unit), given)
    up, down = (steps_of(half, x) for half in halves)
    found = up + down if rounding == "ZERO" else given((up + down) / 8) * 4
    assert torch.equal(found, wanted(given, x, bias))


@pytest.mark.parametrize(("rounding", "bias"), [*product(ROUNDINGS, BIASES)])
@pytest.mark.parametrize("gain", [1.0, 0.3, -1.7])
@pytest.mark.parametrize("before", [IDENTITY, ROUNDINGS["CEIL"](IDENTITY)])
def test_a_table_has_the_results_of_every_sum(rounding, bias, gain, before):
    given = GivenQuantizer(0.25, 0, -8, 7, 4, True, rounding)
    table = table_of(sums(bias, gain=gain), before, given)
    index = torch.floor((SUMS + table.bias) * 2.0**UNIT + 0.5)
    index = index.clamp(table.index.low, table.index.high)
    found = table.function(index[None, None, None] * 2.0**-UNIT).flatten()
    assert torch.equal(found, given(before(gain * SUMS + bias)))


def test_a_table_has_no_more_entries_than_its_results_need():
    sign = GivenQuantizer(1.0, 0, -1, 1, 2, True, "SIGN")
    table = table_of(sums(0.0), IDENTITY, sign)
    assert table.index.bits == 2


def test_of_too_many_sums_there_is_no_table():
    given = GivenQuantizer(0.25, 0, -128, 127, 8, True, "EVEN")
    fine = LayerSums(*(getattr(sums(0.0, unit=20), n) for n in LayerSums.__annotations__))
    wide = LayerSums(fine.unit, fine.least * 2**20, fine.most * 2**20, fine.gain, fine.bias, None)
    assert table_of(wide, IDENTITY, given) is None


def test_places_are_those_of_the_lowest_bit():
    x = torch.tensor([[0.75, 2.0], [6.0, -4.0], [0.0, 0.0], [0.0, -(2.0**-30)]])
    assert places_of(x).tolist() == [2, -1, 0, 30]
