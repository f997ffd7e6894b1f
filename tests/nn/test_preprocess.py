"""Means and deviations of pixels: which are refused, and what is said to the habit of 0..255."""

import pytest
import torch
from torch import nn

from qnn.errors import ModelError
from qnn.nn.preprocess import LEAST_VALUES, Pixels, checked, values_kept
from qnn.nn.zoo import ZOO
from tests.nearest import quantize

START = (
    "quantize needs a mean and std under which 8-bit pixels keep at least 64 of 256 values, not "
)
MEANING = "the model takes (pixel / 255 - mean) / std; "
DIVIDE = "numbers that are meant for pixels of 0..255 are to be divided by 255: "


@pytest.mark.parametrize(
    ("mean", "std", "text"),
    [
        (123.675, 58.395, f"mean 123.7 and std 58.4, which leave 2: {MEANING}{DIVIDE}mean 0.485, "
         "std 0.229"),
        (127.5, 127.5, f"mean 127.5 and std 127.5, which leave 2: {MEANING}{DIVIDE}mean 0.5, "
         "std 0.5"),
        ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "mean 123.7,116.3,103.5 and std "
         f"58.4,57.12,57.38, which leave 1: {MEANING}{DIVIDE}mean 0.485,0.456,0.406, std "
         "0.229,0.224,0.225"),
        (128, 1.0, f"mean 128 and std 1, which leave 2: {MEANING}{DIVIDE}mean 0.502, std 0.003922"),
        (-20, 1.0, f"mean -20 and std 1, which leave 9: {MEANING}{DIVIDE}mean -0.07843, std "
         "0.003922"),
        ((0.5, 0.5, 123.0), (0.25, 0.25, 0.25), "mean 0.5,0.5,123 and std 0.25, which leave 2: "
         f"{MEANING}correct them"),
    ],
)  # fmt: skip
def test_numbers_of_0_to_255_are_refused_with_what_they_should_be(mean, std, text):
    with pytest.raises(ModelError) as error:
        checked(mean, std, 3)
    assert str(error.value) == START + text


@pytest.mark.parametrize("name", ZOO)
def test_the_zoo_keeps_most_pixels(name):
    entry = ZOO[name]
    assert values_kept(Pixels(entry.mean, entry.std)) > 2 * LEAST_VALUES


def test_pixels_in_floats_are_told_from_normalised_images():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 36, 3))
    pixels = torch.randint(0, 256, (8, 1, 8, 8), generator=torch.Generator().manual_seed(0))

    def refusal(x, mean=0.5, std=0.25):
        with pytest.raises(ModelError) as error:
            quantize(model, x, mean=mean, std=std)
        return str(error.value)

    pixels[0, 0, 0, :2] = torch.tensor([0, 255])
    assert refusal(pixels.float()) == (
        "quantize got mean and std, and whole numbers from 0 to 255 in floats, which are pixels; "
        "give them as uint8"
    )
    assert refusal(pixels / 255) == (
        "quantize got mean and std, and pixels / 255 that neither was applied to; give uint8 "
        "pixels, or (pixel / 255 - mean) / std"
    )
    for x, mean, std in (
        (pixels / 255, 0.0, 1.0),
        (pixels.float(), 0.0, 1 / 255),
        ((pixels / 255 - 0.5) / 0.25, 0.5, 0.25),
        (pixels.to(torch.uint8), 0.5, 0.25),
    ):
        quantize(model, x, mean=mean, std=std)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int8, torch.bool])
def test_integers_are_neither_reals_nor_pixels_to_quantize(dtype):
    with pytest.raises(ModelError) as error:
        quantize(nn.Linear(4, 2), torch.ones(8, 4).to(dtype))
    assert str(error.value) == (
        f"quantize takes floats, which are reals, or uint8, which are pixels, not {dtype}; convert "
        f"the data: x.float() or x.to(torch.uint8)"
    )
