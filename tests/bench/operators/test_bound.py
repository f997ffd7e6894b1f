"""What operators need is counted as the array works, and none takes fewer cycles."""

import pytest

from hw.spec.config import named_config
from qnn.bench.operators.bound import NeededMap, needed_cycles
from qnn.bench.operators.cases import operator_cases
from qnn.bench.operators.measure import measure_operator

REFERENCE = named_config("reference")


@pytest.mark.parametrize(
    ("shape", "more", "cycles"),
    [
        # A word per cycle leaves; 8 columns of 16 rows.
        ((64, 28, 28), {}, 4 * 784),
        ((64, 28, 28), {"reads": 8}, 4 * 784),
        ((64, 28, 28), {"reads": 8, "skip": True}, 4 * 98 * 9),
        ((1, 28, 28), {}, 784),
        # One column, and one tile of a part of the columns.
        ((64, 1, 1), {"reads": 784}, 4 * 784),
        ((64, 1, 1), {}, 4 * 8),
        # Every fourth pixel is in one of four banks.
        ((64, 8, 8), {"reads": 16}, 4 * 8 * 16),
        ((64, 8, 8), {"reads": 16, "stride": 4}, 4 * 16 * 16),
    ],
)
def test_a_map_needs_its_reads_or_its_writes(shape, more, cycles):
    assert NeededMap(shape=shape, **more).cycles(REFERENCE) == cycles


def test_maps_are_computed_one_after_the_other():
    shape = (64, 28, 28)
    one = NeededMap(shape=shape)
    assert needed_cycles((one, one), (shape,), shape, REFERENCE) == 2 * one.cycles(REFERENCE)
    assert needed_cycles((), (shape,), shape, REFERENCE) == 0


def test_maps_that_do_not_fit_on_chip_need_the_port():
    large, small = (64, 112, 112), (64, 5, 5)
    few = NeededMap(shape=small, reads=8)
    assert needed_cycles((few,), (large,), small, REFERENCE) == 4 * 112 * 112
    # Reads of both operands; writes are fewer, and go at the same time.
    both = NeededMap(shape=large, skip=True)
    assert needed_cycles((both,), (large, large), large, REFERENCE) == 2 * 4 * 112 * 112


def test_an_operator_of_a_convolution_takes_no_cycles_of_its_own():
    (case,) = [c for c in operator_cases(14) if c.name == "PReLU, behind a convolution"]
    cost = measure_operator(case, "reference")
    assert (cost.cycles, cost.bound, cost.ratio) == (0, 0, None)


NAMES = ["product", "sum with a value per pixel", "nearest x2", "adaptive maximum, uneven"]


@pytest.mark.parametrize("name", NAMES)
def test_operators_take_what_their_reads_and_writes_need(name):
    (case,) = [c for c in operator_cases(28) if c.name == name]
    cost = measure_operator(case, "reference")
    # Nothing is faster than the array; a tenth is what is allowed beside it.
    assert 1 <= cost.ratio <= 1.1
    assert cost.cycles >= cost.steps + cost.waits
