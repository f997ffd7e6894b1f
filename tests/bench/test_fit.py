from dataclasses import replace

import pytest

from boards.zynqmp.devices import XCZU9EG
from qnn.bench import fit
from qnn.eda.synthesis import Resources

CELLS = Resources(
    lut=40_000,
    lut_packed=30_000,
    lut_shift_registers=1_000,
    lut_memories=500,
    ff=90_000,
    carry4=5_000,
    dsp=0,
    bram18=256,
)


def test_shares_grow_with_the_cores():
    one, two, _, four = fit.shares(CELLS, XCZU9EG)
    assert one.lut == pytest.approx(41_500 / 274_080)
    assert one.lut_packed == pytest.approx(31_500 / 274_080)
    assert two.bram == pytest.approx(2 * 256 / 1_824)
    assert four.ff == pytest.approx(4 * 90_000 / 548_160)
    assert four.fits


@pytest.mark.parametrize("more", [{"lut": 50_000}, {"bram18": 420}, {"ff": 140_000}, {"dsp": 640}])
def test_too_much_of_anything_does_not_fit(more):
    assert fit.shares(CELLS, XCZU9EG)[-1].fits
    assert not fit.shares(replace(CELLS, **more), XCZU9EG)[-1].fits
