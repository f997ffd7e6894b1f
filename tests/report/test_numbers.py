import pytest

from qnn.report.numbers import Number, label, number


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("measured_accuracy_percent", 99.444, "99.44 %"),
        ("simulated_utilisation", 0.8951, "89.5 %"),
        ("estimated_fmax_mhz", 64.67, "64.7 MHz"),
        ("simulated_cycles_per_image", 7937.0, "7,937"),
        ("given_images", 360, "360"),
        ("measured_ratio", 0.5, "0.50"),
        ("measured_lut", 61234.0, "61,234"),
    ],
)
def test_a_key_tells_mark_and_unit(key, value, text):
    assert number(key, value) == Number(text, key.partition("_")[0])


def test_a_key_without_mark_is_refused():
    with pytest.raises(ValueError, match=r"^report: 'cycles' does not say how its number was got$"):
        number("cycles", 3)


def test_a_label_has_neither_mark_nor_unit():
    assert label("estimated_fmax_mhz") == "fmax"
    assert label("simulated_values_compared") == "values compared"
