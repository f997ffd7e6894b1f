from dataclasses import replace

import numpy as np
import pytest

from hw.spec.config import SvpeConfig
from hw.spec.isa.array_codes import array_integer
from qnn.bench import energy
from qnn.eda.activity import Activity


def counted(toggles, registers=160):
    return Activity(
        toggles={"LUT": toggles},
        registers=registers,
        cycles=10,
        sums=[],
        saif="(SAIFILE)",
        netlist="module",
    )


def test_a_multiplication_is_worth_between_a_chips_and_the_fabrics():
    least, most = energy.dsp_toggles()
    assert most / least == pytest.approx(12)
    assert 2 < most / energy.TOGGLES_OF_AN_ADDITION < 31  # a multiplication of 8, of 32 bits


def test_estimates_follow_the_toggles():
    found = energy.estimate(counted(160 * 50), counted(160 * 40))
    assert (found.shift_toggles, found.multiply_toggles) == (50, 40)
    low, high = found.energy_per_mac_range
    assert low < found.energy_per_mac < high
    assert found.break_even_dsp_toggles == 10
    least, _ = found.dsp_toggles
    assert high == 50 / (40 + least)


def test_no_price_makes_shifts_dearer_that_toggle_less():
    assert energy.estimate(counted(160 * 40), counted(160 * 50)).break_even_dsp_toggles is None


def test_both_arrays_take_the_same_layer():
    activations, weights = energy.layer()
    assert activations.shape[1:] == weights.shape == (energy.TAPS, energy.LANES)
    assert activations.min() == -32_768
    assert activations.max() == 32_767
    assert len(energy.steps(activations, weights)) == len(activations) * energy.TAPS
    shift = SvpeConfig(lanes=16, rows=1, columns=1, **energy.SHIFT)
    multiply = replace(shift, **energy.MULTIPLY)
    rounded = [
        [array_integer(int(code), shift) for code in row]
        for row in energy.power_of_two_codes(weights, shift)
    ]
    for close, bound in ((rounded, 0.9), (energy.uniform_codes(weights, multiply), 0.9999)):
        assert np.corrcoef(np.ravel(close), weights.ravel())[0, 1] > bound
