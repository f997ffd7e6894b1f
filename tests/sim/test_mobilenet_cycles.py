"""The cycle model is equal to RTL on a network that stores, loads and fetches all the time."""

import pytest
import torch
from torch import nn

import qnn
from hw.spec.config import named_config
from qnn.bench.step_networks import InvertedResidual
from sim.rtl import MemoryTiming
from sim.verify import verify
from tests.graphs import images
from tests.nearest import quantize
from tests.sim.checks import model_cycles

# Channels and strides of MobileNetV2's blocks, all a quarter as wide.
BLOCKS = (
    (8, 1, 1),
    (8, 2, 6),
    (8, 1, 6),
    (8, 2, 6),
    (16, 2, 6),
    (16, 1, 6),
    (24, 1, 6),
    (40, 2, 6),
)


def mobilenet():
    """The integer graph of a small MobileNetV2 for 64 x 64 pixels."""
    torch.manual_seed(0)
    layers, channels = [nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU6()], 8
    for outputs, stride, widening in BLOCKS:
        layers.append(InvertedResidual(channels, outputs, stride, widening))
        channels = outputs
    layers += [nn.Conv2d(channels, 80, 1), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    model = nn.Sequential(*layers, nn.Linear(80, 10)).eval()
    return qnn.export(quantize(model, torch.randn(4, 3, 64, 64)))


@pytest.fixture(scope="module")
def graph():
    return mobilenet()


@pytest.mark.rtl
@pytest.mark.parametrize(("config", "rate"), [("test", None), ("test", 3), ("small", None)])
def test_a_mobilenet_takes_the_cycles_of_the_model(graph, config, rate):
    design = qnn.compile(graph, named_config(config))
    assert config != "test" or design.artifact.scratch_bytes  # tensors go through memory
    report = verify(design, images(graph, 1), "rtl", timing=MemoryTiming(rate=rate))
    assert report.passed, str(report)
    assert report.run_cycles == (model_cycles(design, rate),)
