import pytest

from qnn.bench import energy
from sim.activity import Activity


def counted(toggles, registers=160):
    return Activity(
        toggles={"LUT": toggles}, registers=registers, cycles=10, sums=[], saif="(SAIFILE)"
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


def test_both_arrays_take_the_same_layer():
    activations, weights = energy.layer()
    assert activations.shape[1:] == weights.shape == (energy.TAPS, energy.LANES)
    assert activations.min() == -32_768
    assert activations.max() == 32_767
    assert len(energy.steps(activations, weights)) == len(activations) * energy.TAPS
