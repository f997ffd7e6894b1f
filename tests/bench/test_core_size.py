"""Whole cores by their LUTs: what was counted, what is estimated, and the rate for each LUT."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.spec.config import named_config
from hw.spec.resources import total
from qnn.bench.core_clock import rate_clock
from qnn.bench.core_size import REFERENCE, SIZES, CoreSize, core_sizes
from tests.bench.test_fit import CELLS


@given(st.integers(1_000, 1_000_000))
def test_rate_lanes_and_luts_belong_together(lut):
    size = CoreSize.of(named_config("test"), lut, counted=True)
    assert size.lanes == 8 * 4 * 2
    assert size.lut_per_lane * size.lanes == pytest.approx(lut)
    assert size.gops_per_klut * size.lut_per_lane == pytest.approx(2 * rate_clock().hertz / 1e6)


def test_the_reference_core_is_counted_and_estimated():
    counted, estimated, *others = core_sizes(CELLS)
    assert counted.core == estimated.core == str(REFERENCE)
    assert (counted.counted, counted.lut) == (True, CELLS.lut_sites)
    assert (estimated.counted, estimated.lut) == (False, total(REFERENCE).lut)
    assert len(others) == len(SIZES)
    assert max(size.lanes for size in others) == 2 * counted.lanes
    assert not any(size.counted for size in others)
