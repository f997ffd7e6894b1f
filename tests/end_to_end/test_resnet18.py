"""ResNet-18 at 224 x 224, larger than the chip: the same integers from PyTorch down to the RTL.

Weights are random: neither integers nor cycles depend on what a network has learnt.
"""

import functools

import numpy as np
import pytest
import torch

import qnn
from hw.spec.config import named_config
from qnn.ir.encode import decode, encode_input
from qnn.nn.preprocess import to_reals
from qnn.nn.zoo import ZOO, load_model
from sim.cycles import simulate_cycles
from sim.verify import verify
from tests.expected import expected_tensors
from tests.nearest import quantize

pytestmark = pytest.mark.slow

CONFIG = named_config("reference")  # 16 x 16 x 8 lanes, 3-bit weights, 16 bytes a beat
LANES = CONFIG.lanes * CONFIG.rows * CONFIG.columns
MACS = 1_814_073_344 + 49 * 512  # and the average pooling


@functools.cache
def network():
    """The quantized model, its graph, and pixels."""
    torch.manual_seed(0)
    entry, model = ZOO["resnet18"], load_model("resnet18")
    pixels = torch.randint(0, 256, (3, *entry.shape), dtype=torch.uint8)
    reals = to_reals(pixels[:2], entry.mean, entry.std)
    quantized = quantize(model, reals, weight_bits=3, mean=entry.mean, std=entry.std)
    return quantized, qnn.export(quantized), pixels[2:]


def test_pytorch_reference_and_functional_agree():
    quantized, graph, pixels = network()
    x = encode_input(graph, pixels.numpy())
    expected = expected_tensors(graph, x)
    with torch.no_grad():
        real = quantized.from_pixels(pixels).double().numpy()
    np.testing.assert_array_equal(real, decode(graph, expected)[0])
    design = qnn.compile(graph, CONFIG)
    assert design.artifact.scratch_bytes
    report = verify(design, x, "functional", expected=expected)
    assert report.passed, str(report)
    assert report.values_compared > sum(tensor[0].size for tensor in expected.values()) * 0.9


def without_first(timing):
    """Utilisation from the end of the first layer and its pooling on."""
    rest = [layer for layer in timing.layers if layer.name not in ("conv1", "maxpool")]
    start = max(
        layer.last_write_cycle for layer in timing.layers if layer.name in ("conv1", "maxpool")
    )
    return sum(layer.macs for layer in rest) / LANES / (timing.cycles - start)


def test_the_array_is_busy():
    """All layers but the first have nine tenths of the lanes busy, and no transfer to wait for."""
    _, graph, _ = network()
    timing = simulate_cycles(qnn.compile(graph, CONFIG).artifact)
    assert sum(layer.macs for layer in timing.layers) == MACS
    print(
        f"{timing.cycles} cycles, {timing.array_utilisation:.1%} of lanes; but the first layer "
        f"{without_first(timing):.1%}"
    )
    assert without_first(timing) > 0.9
    assert timing.array_utilisation > 0.85


@pytest.mark.rtl
def test_every_value_in_rtl_and_every_cycle_of_the_model():
    _, graph, pixels = network()
    design = qnn.compile(graph, CONFIG)
    report = verify(design, encode_input(graph, pixels.numpy()), "rtl")
    assert report.passed, str(report)
    timing = simulate_cycles(design.artifact)
    print(f"{report}; {report.run_cycles[0]} cycles, the model has {timing.cycles}")
    assert report.run_cycles == (timing.cycles,)
    measured = {layer.name: layer.cycles for layer in report.layers if layer.cycles}
    for layer in timing.layers:
        cycles = measured[layer.name].last_write - measured[layer.name].issue
        assert cycles == layer.cycles, layer.name
