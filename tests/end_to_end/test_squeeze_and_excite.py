"""Gates and functions together: blocks of MobileNetV3 and EfficientNet on the simulator."""

import pytest
import torch
from torch import nn

import qnn
from hw.spec.config import named_config
from qnn.ir.encode import encode_input
from sim.verify import verify
from tests.frontend.test_functions import Between, efficient, mobile
from tests.nearest import quantize

CASES = {"mobile": mobile, "efficient": efficient, "prelu": lambda: Between(nn.PReLU(4))}


# The copy of a gate of 8 unsigned bits is left out here, and needed with 10-bit activations.
@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("name", CASES)
def test_a_network_with_gates_and_functions_verifies(name, bits):
    torch.manual_seed(0)
    model, x = CASES[name]().eval(), torch.randn(16, 3, 8, 8)
    graph = qnn.export(quantize(model, x, 3, terms=2))
    config = named_config("test", activation_bits=bits)
    design = qnn.compile(graph, config, batch=2)
    report = verify(design, encode_input(graph, x[:2].numpy()), "functional")
    assert report.passed, report
