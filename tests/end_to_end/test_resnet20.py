"""ResNet-20 on CIFAR-10, 4-bit weights: the same integers from PyTorch down to the RTL.

Each RTL run prints, and with QNN_BENCH_DIR writes, what it measured as one JSON object.
"""

import functools
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import qnn
from hw.spec.config import named_config
from qnn.ir.encode import decode, encode_input
from qnn.nn.zoo import load_model
from sim.cycles import simulate_cycles
from sim.verify import verify
from tests.expected import expected_tensors
from tests.nearest import quantize
from tests.shared_data import cifar_test, cifar_train

pytestmark = pytest.mark.slow

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
IMAGES, CHUNK = 1000, 100


@functools.cache
def network(folder: Path):
    """The quantized model and its graph."""
    model = load_model("resnet20", folder / "resnet20_cifar10.pt")
    images, _ = cifar_train(folder)
    quantized = quantize(model, images[:256], weight_bits=4, mean=MEAN, std=STD)
    return quantized, qnn.export(quantized)


def config(columns: int):
    return named_config("reference", columns=columns, weight_bits=4)


def test_pytorch_reference_and_functional_agree_on_1000_images(shared_data):
    quantized, graph = network(shared_data)
    design = qnn.compile(graph, config(8))
    pixels, _ = cifar_test(shared_data)
    compared = 0
    for start in range(0, IMAGES, CHUNK):
        part = pixels[start : start + CHUNK]
        x = encode_input(graph, part.numpy())
        expected = expected_tensors(graph, x)
        with torch.no_grad():
            real = quantized.from_pixels(part).double().numpy()
        np.testing.assert_array_equal(real, decode(graph, expected)[0])
        report = verify(design, x, "functional", expected=expected)
        assert report.passed, str(report)
        compared += report.values_compared
    print(f"{compared} values compared, 0 mismatches")


def hold_cycles(report, model):
    """Every run, and every layer in it, takes the cycles of the model."""
    assert set(report.run_cycles) == {model.cycles}
    measured = {layer.name: layer.cycles for layer in report.layers if layer.cycles}
    for layer in model.layers:
        cycles = measured[layer.name].last_write - measured[layer.name].issue
        assert cycles == layer.cycles, layer.name


@pytest.mark.rtl
@pytest.mark.parametrize(("columns", "images"), [(2, 2), (8, 1)])
def test_rtl_equals_the_reference(shared_data, columns, images):
    _, graph = network(shared_data)
    design = qnn.compile(graph, config(columns))
    pixels, _ = cifar_test(shared_data)
    started = time.perf_counter()
    report = verify(design, pixels[:images].numpy(), "rtl")
    assert report.passed, str(report)
    model = simulate_cycles(design.artifact)
    hold_cycles(report, model)

    macs = sum(layer.macs for layer in design.artifact.layers)
    lanes = design.config.lanes * design.config.rows * columns
    measured = {
        "configuration": str(design.config),
        "images": images,
        "values_compared": report.values_compared,
        "mismatches": report.mismatches,
        "cycles_per_image": report.run_cycles[0],
        "model_cycles_per_image": model.cycles,
        "array_utilisation": macs / lanes / report.run_cycles[0],
        "simulator_cycles_per_second": report.cycles_per_second,
        "build_seconds": report.build_seconds,  # 0: from the cache
        "seconds": time.perf_counter() - started,
    }
    text = json.dumps(measured, indent=2)
    print(text)
    if folder := os.environ.get("QNN_BENCH_DIR"):
        (Path(folder) / f"resnet20_rtl_{columns}_columns.json").write_text(text)
    assert measured["array_utilisation"] > 0.5
