"""What is said after a large drop, and that nothing is said after a small one."""

import pytest

from qnn.ptq.advice import advice, fell


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ({"accuracy": 90.0}, {"accuracy": 89.5}, None),
        ({"accuracy": 90.0}, {"accuracy": 78.5}, "accuracy fell by 11.50 points"),
        ({"mse": 1.0, "r2": 0.9}, {"mse": 1.1, "r2": 0.9}, None),
        ({"mse": 1.0, "r2": 0.9}, {"mse": 3.0, "r2": 0.7}, "the error is 3.00 times as large"),
        ({"mse": 0.0, "r2": 1.0}, {"mse": 3.0, "r2": 0.7}, "the error is inf times as large"),
        ({}, {"snr_db": 20.0}, None),
        ({}, {"snr_db": 4.0}, "outputs keep 4.0 dB of signal to noise"),
        ({}, {"snr_db": None}, None),
    ],
)  # fmt: skip
def test_a_large_drop_is_named(before, after, text):
    assert fell(before, after) == text


def test_what_was_tried_is_not_advised_again():
    assert advice(1, "nearest", False) == [
        "more terms (--terms 2)",
        "the default rounding (--rounding auto)",
        "--bias-correction",
        "more and other images to calibrate on (--samples)",
    ]
    assert advice(2, "auto", None, 0.5) == [
        "a smaller loss on images held out (--target 0.125)",
        "more and other images to calibrate on (--samples)",
        "training on the grid (qnn train)",
    ]
    assert advice(4, "discquant", True) == [
        "more and other images to calibrate on (--samples)",
        "training on the grid (qnn train)",
    ]
