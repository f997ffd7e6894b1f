import pytest

from qnn.quant.qtype import QType


def test_ranges_and_offsets():
    signed, unsigned = QType(8, True, 4), QType(8, False, -1)
    assert (signed.low, signed.high, signed.offset, signed.scale) == (-128, 127, 0, 1 / 16)
    assert (unsigned.low, unsigned.high, unsigned.offset, unsigned.scale) == (0, 255, 128, 2)


def test_text():
    assert [str(QType(8, True, 4)), str(QType(16, False, -2))] == ["s8e-4", "u16e+2"]


@pytest.mark.parametrize("bits", [1, 49])
def test_other_bits_are_refused(bits):
    with pytest.raises(ValueError, match=rf"^QType bits must be from 2 to 48, not {bits}$"):
        QType(bits, True, 0)
