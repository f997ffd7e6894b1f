"""Moments of what a layer reads, against the convolution's own sums for one weight at a time."""

import pytest
import torch
from torch import nn

from qnn.ptq import moments
from qnn.ptq.moments import moments_of
from tests.ptq.trained import calibrated_on

LAYERS = {
    "plain": nn.Conv2d(4, 6, 3, stride=2, padding=1),
    "no bias": nn.Conv2d(4, 6, (2, 3), bias=False),
    "groups": nn.Conv2d(4, 6, 3, padding=1, groups=2),
    "by channel": nn.Conv2d(4, 8, 3, dilation=2, padding=2, groups=4, bias=False),
    "transposed": nn.ConvTranspose2d(4, 6, 3, padding=1, groups=2),
}


def layer_of(model, images):
    """The first layer that learns, of a network that is quantized to nearest."""
    quantized = calibrated_on(nn.Sequential(model), images).build(1, "nearest")
    return quantized.layer(next(layer.name for layer in quantized.plan.convs if not layer.fixed))


def read_by(conv, x):
    """(groups, inputs, sums) float64: what each weight of a group's first row is multiplied by."""
    outputs, *shape = conv.plan.weight_shape
    groups = conv.plan.window.groups
    found = []
    for place in range(shape[0] * shape[1] * shape[2]):
        weight = torch.zeros(outputs, shape[0] * shape[1] * shape[2]).double()
        weight[:, place] = 1
        sums = conv.convolve(x.double(), weight.reshape(outputs, *shape))
        found.append(sums[:, :: outputs // groups].transpose(0, 1).flatten(1))
    return torch.stack(found, 1)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("offset", [0.0, 3000.0])
@pytest.mark.parametrize("values", [1 << 24, 1 << 9])
@pytest.mark.parametrize("at_once", [256, 7])
def test_moments_are_means_over_all_sums(monkeypatch, name, offset, values, at_once):
    monkeypatch.setattr(moments, "VALUES", values)  # in one part, and image by image
    monkeypatch.setattr(moments, "PART", at_once)  # inputs
    torch.manual_seed(0)
    x = torch.randn(20, 4, 7, 6)
    conv = layer_of(LAYERS[name], x)
    # Where there is no bias, nothing takes a mean of such size back.
    x = x + (offset if conv.moves_mean else 0)
    wanted = torch.randn(20, *conv.plan.shape) + offset
    got = moments_of(conv, x, lambda part: wanted[part])
    read, groups = read_by(conv, x), conv.plan.window.groups
    t = wanted.double().transpose(0, 1).flatten(1).reshape(groups, -1, read.shape[2])
    if conv.moves_mean:
        torch.testing.assert_close(got.x, read.mean(2))
        torch.testing.assert_close(got.t, t.mean(2).flatten())
        read, t = (each - each.mean(2, keepdim=True) for each in (read, t))
    count = read.shape[2]
    second, cross = (each @ read.transpose(1, 2) / count for each in (read, t))
    assert got.second.equal(got.second.mT)
    # Products are of float32.
    for found, expected in ((got.second, second), (got.cross, cross)):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("value", [0.1, 1000.1])
def test_operands_that_do_not_vary_have_no_moments(value):
    x = torch.randn(50, 4, 1, 1)
    x[:, 2] = value
    conv = layer_of(nn.Conv2d(4, 6, 1), x)
    got = moments_of(conv, x, lambda part: x[part].sum(1, keepdim=True).expand(-1, 6, -1, -1))
    for part in (got.second[0, 2], got.second[0, :, 2], got.cross[0, :, 2]):
        assert not part.any()
    assert (got.second[0].diagonal() > 0).tolist() == [True, True, False, True]
    assert float(got.x[0, 2]) == pytest.approx(value)


def test_the_first_images_are_enough(monkeypatch):
    monkeypatch.setattr(moments, "POSITIONS", 18 * 42)
    x = torch.randn(40, 4, 7, 6)
    conv = layer_of(nn.Conv2d(4, 6, 3, padding=1), x)

    def wanted(part):
        assert part.stop <= 18
        return x[part].sum(1, keepdim=True).expand(-1, 6, -1, -1)

    got = moments_of(conv, x, wanted)
    torch.testing.assert_close(got.second, moments_of(conv, x[:18], wanted).second)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("power", [-90, 90])
def test_operands_of_any_size_have_moments(name, power):
    """Squares of such operands are no float32; a power of two changes no other bit."""
    torch.manual_seed(1)
    x = torch.randn(20, 4, 7, 6)
    conv, scale = layer_of(LAYERS[name], x), 2.0**power
    wanted = torch.randn(20, *conv.plan.shape)
    if not conv.moves_mean:
        wanted += conv.folded_bias()[:, None, None]
    plain = moments_of(conv, x, lambda part: wanted[part])
    got = moments_of(conv, x * scale, lambda part: wanted[part])
    assert got.second.equal(plain.second * scale**2)
    assert got.x.equal(plain.x * scale)
    assert got.t.equal(plain.t)
    if conv.moves_mean:
        assert got.cross.equal(plain.cross * scale)
