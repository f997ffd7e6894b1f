"""A histogram counts each value in its bin, in parts and over batches, as arithmetic says."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qnn.quant import histogram
from qnn.quant.histogram import BINS, Histogram

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)


def counted(values: np.ndarray, reach: int) -> np.ndarray:
    """Counts by bin of all values but zeros, in float64, which holds every quotient exactly."""
    places = np.floor(np.ldexp(values[values != 0].astype(np.float64), 13 - reach))
    return np.bincount(places.astype(np.int64) + BINS, minlength=2 * BINS)


@given(st.lists(FINITE, min_size=1, max_size=40), st.integers(-60, 60), st.integers(1, 7))
def test_each_value_is_in_its_bin(values, exponent, part):
    wide = np.ldexp(np.array(values, np.float64), exponent)
    x = wide.clip(-3e38, 3e38).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(histogram, "PART", part)
        found = Histogram.of(torch.from_numpy(x))
    assert (found.least, found.most) == (x.min(), x.max())
    assert found.zeros == (x == 0).sum()
    assert np.abs(x.astype(np.float64)).max() < 2.0**found.reach
    assert np.array_equal(found.counts.numpy(), counted(x, found.reach))


@given(st.lists(FINITE, min_size=2, max_size=20), st.data())
def test_batches_add_up_to_the_whole(values, data):
    x = torch.tensor(values, dtype=torch.float32)
    cut = data.draw(st.integers(1, len(values) - 1))
    both = Histogram.of(x[:cut]) + Histogram.of(x[cut:])
    whole = Histogram.of(x)
    assert (both.reach, both.zeros) == (whole.reach, whole.zeros)
    assert torch.equal(both.counts, whole.counts)


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [float("inf")]])
def test_what_has_no_bin_is_refused(values):
    with pytest.raises(ValueError, match="needs"):
        Histogram.of(torch.tensor(values))
