"""Decoded boxes: PyTorch = functional simulator = RTL = driver, nested as in the model."""

import numpy as np
import pytest
import torch

import qnn
from qnn.design import compile
from qnn.runtime.values import as_results, decode
from qnn.tasks.structures import tensors_of
from sim.simulate import simulate
from sim.verify import verify
from tests.detectors import DETECTORS, detector
from tests.nearest import quantize


@pytest.fixture(scope="module")
def images():
    return torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def built(name, images):
    quantized = quantize(detector(name), images, weight_bits=3, terms=2)
    return quantized, compile(qnn.export(quantized), "test")


def hold_equal(quantized, design, images, device):
    report = verify(design, images.numpy(), device)
    assert (report.mismatches, report.failure) == (0, None)
    run = simulate(design, images.numpy(), device=device)
    wanted = quantized(images)
    for found, right in zip(tensors_of(run.results), tensors_of(wanted), strict=True):
        np.testing.assert_array_equal(found, right.numpy())
    assert type(run.results) is type(wanted) or isinstance(run.results, np.ndarray)
    return run


@pytest.mark.parametrize("name", DETECTORS)
def test_boxes_of_a_simulation_are_those_of_the_quantized_model(name, images):
    quantized, design = built(name, images)
    run = hold_equal(quantized, design, images, "functional")
    # Integers of the network's own tensors have names and exponents.
    assert run.outputs._fields == run.exponents._fields == ("heads.0", "heads.1")
    assert all(each.dtype.kind == "i" for each in run.outputs)
    assert run.cycles is None
    # The driver has the image alone.
    image = type(design.artifact).from_bytes(design.artifact.to_bytes())
    blocks = tuple(
        each.reshape(len(images), *layout.shape)
        for each, layout in zip(run.outputs, image.network_outputs, strict=True)
    )
    assert len(as_results(image, blocks)) == 2
    driven = decode(image, blocks)
    for found, right in zip(tensors_of(driven), tensors_of(quantized(images)), strict=True):
        np.testing.assert_array_equal(found, right.numpy())


@pytest.mark.rtl
def test_boxes_of_the_verilog_are_those_of_the_quantized_model(images):
    quantized, design = built("YOLOv8", images[:1])
    run = hold_equal(quantized, design, images[:1], "rtl")
    assert run.cycles is not None
