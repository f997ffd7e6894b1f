"""A layer whose function gives zero for all data becomes a constant, as any silent layer does."""

import pytest
import torch
from torch import nn

from qnn.errors import QnnWarning
from tests.nearest import quantize


@pytest.mark.parametrize("function", [nn.SiLU(), nn.Tanh(), nn.ReLU()], ids=str)
def test_a_silent_layer_with_a_function_is_a_constant(function):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), function, nn.Conv2d(2, 3, 1)).eval()
    nn.init.zeros_(model[0].weight)
    images = torch.randn(4, 1, 5, 5)
    with pytest.warns(QnnWarning, match="is zero for all calibration data"):
        quantized = quantize(model, images)
    torch.testing.assert_close(quantized(images), model(images), atol=0.02, rtol=0)
