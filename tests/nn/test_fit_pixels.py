import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from qnn.nn.fit_pixels import fit
from qnn.nn.preprocess import Pixels
from qnn.quant.qtype import QType

MEANS = st.floats(-0.5, 1.5)
STDS = st.floats(2**-6, 64)
PIXELS = torch.arange(256, dtype=torch.float64)


# Nearly a half: the mean is 127.50000000000003 steps.
@example(0.015625000000000003, 1.0, 13)
@given(MEANS, STDS, st.integers(8, 16))
def test_no_two_pixels_of_a_channel_become_one_integer(mean, std, bits):
    codes = fit(Pixels((mean,), (std,)), bits).codes[0]
    # Beyond 0..1 the integer of 0 is not a pixel's, and the pixels share the range with it.
    inside = 0 <= mean <= 1
    assert not inside or len(codes.unique()) == 256
    assert not inside or len((codes[1:] - codes[:-1]).unique()) == 1
    assert bool((codes[1:] >= codes[:-1]).all())


@given(st.lists(st.tuples(MEANS, STDS), min_size=1, max_size=4), st.integers(8, 16))
def test_integers_are_those_nearest_to_what_the_gain_gives(channels, bits):
    mean, std = zip(*channels, strict=True)
    found = fit(Pixels(mean, std), bits)
    assert int(found.codes.min()) >= found.type.low
    assert int(found.codes.max()) <= found.type.high
    for channel, gain in enumerate(found.gain):
        reals = (PIXELS / 255 - mean[channel]) / std[channel] * gain * 2.0**found.type.exponent
        assert float((reals - found.codes[channel]).abs().max()) <= 0.5 + 1e-6


@pytest.mark.parametrize(
    ("mean", "bits", "type"),
    [
        ((0.0,), 8, QType(8, False, 6)),
        ((0.5,), 8, QType(8, True, 6, -1)),
        ((128 / 255,), 8, QType(8, True, 6)),
        ((211 / 255,), 8, QType(8, True, 6, 83)),
        ((1.0,), 8, QType(8, True, 6, 127)),
        ((0.5,), 16, QType(16, True, 14)),
        # ImageNet's: 20 pixels more than there are integers, whose steps grow by as much.
        ((0.485, 0.456, 0.406), 8, QType(8, True, 6, -13)),
    ],
)
def test_zero_lies_where_the_means_are(mean, bits, type):
    assert fit(Pixels(mean, (0.25,) * len(mean)), bits).type == type
