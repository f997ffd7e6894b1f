import pytest

from qnn.quant.qtype import QType


def test_ranges_and_offsets():
    signed, unsigned = QType(8, True, 4), QType(8, False, -1)
    assert (signed.low, signed.high, signed.offset, signed.scale) == (-128, 127, 0, 1 / 16)
    assert (unsigned.low, unsigned.high, unsigned.offset, unsigned.scale) == (0, 255, 128, 2)
    assert (signed.reach, unsigned.reach) == (128, 256)


@pytest.mark.parametrize("zero_point", range(-127, 128))
def test_the_integer_of_0_is_stored_as_the_zero_point(zero_point):
    type = QType(8, True, 0, zero_point)
    assert (type.low - type.offset, 0 - type.offset, type.high - type.offset) == (
        *(-128, zero_point, 127),
    )
    assert type.low < 0 <= type.high
    assert type.reach == max(-type.low, type.high + 1)


@pytest.mark.parametrize(
    ("signed", "zero_point", "text"),
    [
        (True, -128, "-127 to 127, and 0 of an unsigned type, not -128"),
        (True, 128, "-127 to 127, and 0 of an unsigned type, not 128"),
        (False, 1, "-127 to 127, and 0 of an unsigned type, not 1"),
    ],
)
def test_a_zero_point_outside_of_the_range_is_refused(signed, zero_point, text):
    with pytest.raises(ValueError, match=f"^QType zero_point must be from {text}$"):
        QType(8, signed, 0, zero_point)


def test_text():
    types = QType(8, True, 4), QType(16, False, -2), QType(8, True, 0, -83)
    assert list(map(str, types)) == ["s8e-4", "u16e+2", "s8z-83e+0"]


@pytest.mark.parametrize("bits", [1, 49])
def test_other_bits_are_refused(bits):
    with pytest.raises(ValueError, match=rf"^QType bits must be from 2 to 48, not {bits}$"):
        QType(bits, True, 0)
