"""Tensors of any scale: places are lost where nothing needs them, and kept where something does."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from qnn.ptq.export import export
from tests.frontend.test_odd_models import Made
from tests.nearest import quantize
from tests.random_networks.chain import check_integers


def quantized(function, data, **parts):
    model = Made(function, **parts).eval()
    made = quantize(model, data, weight_bits=4, terms=3)
    check_integers(made, export(made), data[:3])
    with torch.no_grad():
        found = made(data)
        return found, model(data).to(found.dtype)


NORMALISED = {
    "by the norm of channels": lambda m, x: F.normalize(m.conv(x)),
    "by the deviation of pixels": lambda m, x: F.instance_norm(m.conv(x), eps=1e-30),
}


@pytest.mark.parametrize("name", NORMALISED)
def test_a_normalisation_takes_values_of_any_scale(name):
    torch.manual_seed(0)
    conv, data = nn.Conv2d(3, 6, 1, bias=False), torch.rand(16, 3, 5, 5) + 0.5
    usual, wanted = quantized(NORMALISED[name], data, conv=conv)
    assert float((usual - wanted).square().mean()) < 0.01 * float(wanted.square().mean())
    for _ in range(3):
        conv.weight.data *= 2.0**-5
        found, _ = quantized(NORMALISED[name], data, conv=conv)
        torch.testing.assert_close(found, usual, rtol=0, atol=0)


@pytest.mark.parametrize("octaves", [30, 45, 60])
def test_an_operand_may_be_nothing_beside_the_bias(octaves):
    torch.manual_seed(0)
    first, last = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 3)
    first.bias.data *= 2.0**-octaves
    first.weight.data *= 2.0**-octaves
    found, wanted = quantized(
        lambda m, x: m.last(m.first(x)), torch.randn(8, 3, 6, 6), first=first, last=last
    )
    torch.testing.assert_close(found, wanted, rtol=2.0**-20, atol=0)


def test_the_normalisation_of_dead_channels_alone_has_bits_left():
    torch.manual_seed(0)
    conv, data = nn.Conv2d(3, 8, 1), torch.randn(8, 3, 5, 5)
    conv.weight.data *= 100
    conv.weight.data[:2] *= 1e-8

    def split(m, x):
        dead, others = F.instance_norm(m.conv(x)).split((2, 6), 1)
        return torch.relu(dead).mean((2, 3)), others

    made = quantize(Made(split, conv=conv).eval(), data, terms=3)
    check_integers(made, export(made), data[:3])
    with torch.no_grad():
        _, found = made(data)
        wanted = F.instance_norm(conv(data))[:, 2:]
    assert float((found - wanted).square().mean()) < 0.02 * float(wanted.square().mean())
