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
