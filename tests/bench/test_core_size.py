"""Whole cores by their LUTs: counts, estimates, and the rate for each LUT."""

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
    size = CoreSize.of(named_config("test"), lut)
    assert size.lanes == 8 * 4 * 2
    assert size.lut_per_lane * size.lanes == pytest.approx(lut)
    assert size.gops_per_klut * size.lut_per_lane == pytest.approx(2 * rate_clock().hertz / 1e6)
    assert size.clock.endswith(" MHz, another core's")


def test_each_core_that_was_counted_is_estimated_too():
    sizes = core_sizes(dict.fromkeys(SIZES, CELLS))
    assert sizes[0].core == str(REFERENCE)
    assert [size.lut for size in sizes] == [CELLS.lut_sites] * len(SIZES)
    assert [size.estimated_lut for size in sizes] == [total(config).lut for config in SIZES]
    assert sizes[0].clock == f"{rate_clock().low_mhz:.0f} MHz"
    assert max(size.lanes for size in sizes) == 2 * sizes[0].lanes
