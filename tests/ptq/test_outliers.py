"""Calibration tells of an image that costs the others their precision, and of a lost operand."""

import re
import warnings

import pytest
import torch
from torch import nn

from qnn.errors import QnnWarning
from qnn.nn.digits import digits, trained_digits_cnn
from qnn.nn.zoo import ZOO
from qnn.quant.histogram import Histogram
from tests.nearest import quantize


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(),
                         nn.Flatten(), nn.Linear(64, 3))  # fmt: skip


def images(count=256):
    return torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def told(model, x, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        quantized = quantize(model, x, **options)
    return quantized, [str(w.message) for w in caught if w.category is QnnWarning]


@pytest.mark.parametrize("outliers", [(137,), (3, 200)])
def test_an_outlier_among_256_images_is_named_with_its_layer_and_its_cost(outliers):
    model, x = network(), images()
    clean, none = told(model, x)
    assert none == []
    for number in outliers:
        x[number] *= 100
    spoilt, lines = told(model, x)
    which = f"image {outliers[0]}" if len(outliers) == 1 else "images 3, 200"
    assert len(lines) == 1
    form = (
        rf"{which} of the calibration data \(counted from 0\) reach [\d.e+]+ in layer '\w+', where "
        r"all others stay within [\d.]+: these lose (\d) bits, ([\d.]+) dB of signal to noise "
        r"there, and in 2 more layers; check or leave out such images"
    )
    found = re.fullmatch(form, lines[0])
    assert found, lines[0]
    # What is told is what is lost: the exponents of a network without such images are finer.
    name = re.search(r"layer '(\w+)'", lines[0]).group(1)
    gained = int(clean.layer(name).exponent) - int(spoilt.layer(name).exponent)
    assert gained == int(found.group(1)) >= 2
    assert float(found.group(2)) > 6


def test_clean_digits_raise_no_warning():
    data, entry = digits(), ZOO["digits_cnn"]
    model = trained_digits_cnn(data)
    _, lines = told(model, data.x_train[:512], mean=entry.mean, std=entry.std)
    assert lines == []


class Joined(nn.Module):
    def __init__(self, factor):
        super().__init__()
        torch.manual_seed(0)
        self.small, self.large = nn.Conv2d(1, 4, 3), nn.Conv2d(1, 4, 3)
        self.last = nn.Conv2d(8, 2, 1)
        with torch.no_grad():
            for parameter in self.large.parameters():
                parameter *= factor

    def forward(self, x):
        return self.last(torch.cat([self.small(x).relu(), self.large(x).relu()], 1))


def test_an_operand_that_a_concat_loses_is_named_with_its_cost():
    assert told(Joined(2), images())[1] == []
    (line,) = told(Joined(100), images())[1]
    assert re.fullmatch(
        r"operand '\w+' of the concatenation '\w+' has the exponent of larger operands, which "
        r"leaves it [\d.]+ dB of signal to noise instead of [\d.]+, [67] bits less; scale it up in "
        r"the model, and the weights that read it down",
        line,
    ), line


def test_a_histogram_without_a_part_is_that_of_the_rest():
    one, other = torch.randn(100), torch.randn(100) * 30
    rest = (Histogram.of(one) + Histogram.of(other)).without(Histogram.of(other))
    same = Histogram.of(one) + Histogram.of(other * 0)
    assert torch.equal(rest.counts, same._widened(rest.reach))
    assert rest.least <= one.min()
    assert rest.most >= one.max()
    assert Histogram.of(one).without(Histogram.of(one)) is None
