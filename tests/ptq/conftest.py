"""What several tests of this folder begin from."""

import pytest
import torch
from torch import nn

from tests.ptq.test_equalise import Residual


@pytest.fixture(scope="module")
def residual():
    torch.manual_seed(0)
    model = Residual()
    nn.init.normal_(model.norm.weight, 1, 0.3)
    nn.init.normal_(model.norm.bias)
    return model, torch.randn(16, 3, 10, 10)
