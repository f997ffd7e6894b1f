"""MLPerf Tiny's DS-CNN and MobileNetV1: the same integers from PyTorch down to the RTL.

The benchmark's performance sets are all the data there are: one half of each calibrates and
teaches, the other is classified.
"""

import functools
from pathlib import Path

import numpy as np
import pytest
import torch

import qnn
from hw.spec.config import named_config
from qnn.bench import shared
from qnn.bench.images import integer_accuracy
from qnn.ir.encode import decode, encode_input
from qnn.nn.zoo import ZOO, load_model
from sim.cycles import simulate_cycles
from sim.verify import verify
from tests.expected import expected_tensors
from tests.nearest import quantize

SETS = {"dscnn": shared.tiny_kws, "mobilenetv1_vww": shared.tiny_vww}
BOTH = pytest.mark.parametrize("name", SETS)
FORMATS = pytest.mark.parametrize("weight_bits", [3, 4])


@functools.cache
def data(name: str, folder: Path):
    """Every second image, to calibrate with, and the others with their labels."""
    pixels, labels = SETS[name](folder)
    return pixels[::2], pixels[1::2], labels[1::2]


def quantized_of(name, folder, weight_bits, count=64, **options):
    entry, (sample, _, _) = ZOO[name], data(name, folder)
    model = load_model(name, shared.checkpoint(folder, name))
    options |= {"weight_bits": weight_bits, "mean": entry.mean, "std": entry.std}
    return quantize(model, sample[:: len(sample) // count], **options)


def config(weight_bits):
    return named_config("reference", columns=2, weight_bits=weight_bits)


@FORMATS
@BOTH
def test_pytorch_reference_and_functional_agree(name, weight_bits, shared_data):
    quantized = quantized_of(name, shared_data, weight_bits)
    graph = qnn.export(quantized)
    _, pixels, _ = data(name, shared_data)
    pixels = pixels[::125]  # 4 images
    x = encode_input(graph, pixels.numpy())
    expected = expected_tensors(graph, x)
    got = quantized.tensors(pixels)
    assert got.keys() == expected.keys()
    for tensor, array in expected.items():
        np.testing.assert_array_equal(got[tensor].numpy(), array, tensor)
    with torch.no_grad():
        real = quantized.from_pixels(pixels).double().numpy()
    np.testing.assert_array_equal(real, decode(graph, expected)[0])
    report = verify(qnn.compile(graph, config(weight_bits)), x, "functional", expected=expected)
    assert report.passed, str(report)


@pytest.mark.rtl
@pytest.mark.slow
@FORMATS
@BOTH
def test_rtl_equals_the_reference_and_the_cycle_model(name, weight_bits, shared_data):
    graph = qnn.export(quantized_of(name, shared_data, weight_bits))
    design = qnn.compile(graph, config(weight_bits))
    _, pixels, _ = data(name, shared_data)
    report = verify(design, pixels[::250].numpy(), "rtl")
    assert report.passed, str(report)
    model = simulate_cycles(design.artifact)
    assert set(report.run_cycles) == {model.cycles}
    print(f"{name}: {report.values_compared} values compared, {report.run_cycles[0]} cycles")


@pytest.mark.slow
def test_rounding_that_learns_keeps_the_benchmarks_threshold(shared_data):
    search = {"start": "adaround", "steps": 200, "batch": 64, "rate": 0.03, "temperature": 4.0}
    search |= {"rho": 100.0, "inner_weight": 20.0, "tune_bias": True, "bias_steps": 100}
    options = {"rounding": "discquant", "rounding_options": search}
    quantized = quantized_of("dscnn", shared_data, 3, 500, **options)
    _, pixels, labels = data("dscnn", shared_data)
    assert integer_accuracy(quantized, pixels, labels) > 90
