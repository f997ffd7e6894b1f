"""What holds executors to each other: floats that lose something pass, and wrong ones do not."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from qnn.frontend.capture import capture
from qnn.ptq.export import export
from tests.frontend.test_odd_models import Made
from tests.models import Case
from tests.nearest import quantize
from tests.random_networks.chain import check_floats, check_integers


def case_of(model, images):
    return Case(model, images, images, {}, None, ())


def test_a_normalisation_that_enlarges_rounding_is_right_and_a_wrong_factor_is_not():
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 16, 1)
    nn.init.constant_(conv.weight[:12], 0)  # whose deviation is nothing but rounding
    conv.bias.data *= 10
    model = nn.Sequential(conv, nn.InstanceNorm2d(16), nn.Conv2d(16, 2, 1)).eval()
    case = case_of(model, torch.randn(2, 3, 19, 23))
    check_floats(case, capture(model, case.calibration))
    wrong = deepcopy(model)
    wrong[2].weight.data *= 1.01
    with pytest.raises(AssertionError, match="not close"):
        check_floats(case, capture(wrong, case.calibration))


def test_results_may_be_less_than_float32_has_normal_numbers_for():
    torch.manual_seed(0)
    model = Made(lambda m, x: m.last(torch.exp(-x)), last=nn.Conv2d(3, 2, 1, bias=False)).eval()
    images = 100 + 2 * torch.rand(8, 3, 4, 4)
    quantized = quantize(model, images)
    assert check_integers(quantized, export(quantized), images)["last"].any()
