import pytest
import torch
from torch import nn

from qnn.ptq.quantize import quantize


def built(*layers):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = nn.Sequential(*(layer() for layer in layers)).eval()
        return model, torch.randn(64, 3, 6, 6) + 1  # a mean that rounded weights shift


@pytest.mark.parametrize(
    "layers",
    [
        (lambda: nn.Conv2d(3, 8, 3, padding=1),),
        (lambda: nn.Conv2d(3, 8, 3, bias=False), lambda: nn.BatchNorm2d(8)),
        (lambda: nn.Conv2d(3, 8, 3, 2), nn.ReLU, lambda: nn.Conv2d(8, 4, 2)),
    ],
    ids=["bias", "batchnorm", "chain"],
)
def test_every_channel_keeps_its_mean(layers):
    model, images = built(*layers)
    quantized = quantize(model, images, bias_correction=True)
    with torch.no_grad():
        error = (quantized(images) - model(images)).double().mean((0, 2, 3)).abs()
        spread = (quantized(images) - model(images)).double().std((0, 2, 3))
    steps = 2.0 ** -int(quantized.layer(quantized.plan.layers[-1].name).exponent)
    assert bool((error <= steps).all()), (error, steps)
    assert bool((spread > 4 * steps).any()), "rounding must matter for this test to say anything"


def test_only_the_first_images_count():
    model, images = built(lambda: nn.Conv2d(3, 8, 3))
    many = torch.cat([images] * 8)
    more = torch.cat([many, images[:1]])  # within the range of the others
    assert len(many) == 512
    first, second = (
        quantize(model, data, bias_correction=True).state_dict() for data in (many, more)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_weights_of_the_architecture_stay():
    model, images = built(lambda: nn.AvgPool2d(2), lambda: nn.Conv2d(3, 2, 1))
    quantized = quantize(model, images, bias_correction=True)
    average = quantized.layer(quantized.plan.layers[1].name)
    assert average.plan.fixed
    assert average.bias is None
    assert average.epilogue().bias.tolist() == [0, 0, 0]


def states(model, images):
    """What is quantized by default, and with biases corrected or not."""
    return [
        quantize(model, images, bias_correction=choice).state_dict()
        for choice in (None, True, False)
    ]


def equal(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_by_default_biases_are_corrected_where_that_helps_images_that_were_not_used():
    model, images = built(lambda: nn.Conv2d(3, 8, 3))
    halves = images.repeat(2, 1, 1, 1)
    chosen, corrected, plain = states(model, halves)
    assert equal(chosen, corrected)
    assert not equal(chosen, plain)


def test_by_default_biases_stay_where_the_other_half_has_other_means():
    model, images = built(lambda: nn.Conv2d(3, 8, 3))
    # What rounding adds to the one half it takes from the other.
    chosen, _, plain = states(model, torch.cat([images, -images]))
    assert equal(chosen, plain)


def test_one_image_corrects_nothing_by_default():
    model, images = built(lambda: nn.Conv2d(3, 8, 3))
    chosen, _, plain = states(model, images[:1])
    assert equal(chosen, plain)


def test_large_images_need_fewer_of_them():
    model, _ = built(lambda: nn.AvgPool2d(64), lambda: nn.Conv2d(3, 2, 1))
    many = torch.ones(40, 3, 512, 512)
    many[32:] *= 0.5
    first, second = (
        quantize(model, data, bias_correction=True).state_dict() for data in (many, many[:33])
    )
    assert equal(first, second), "means of 32 such images are means of millions of pixels"


def test_by_default_biases_stay_where_answers_would_change(monkeypatch):
    model, images = built(lambda: nn.Conv2d(3, 8, 3))
    judged = iter([(2.0, 5), (1.0, 6)])
    monkeypatch.setattr("qnn.ptq.correct_bias._output_errors", lambda *_: next(judged))
    quantized = quantize(model, images)
    plain = quantize(model, images, bias_correction=False)
    assert equal(quantized.state_dict(), plain.state_dict())
