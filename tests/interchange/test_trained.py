"""Trained networks by way of files: back from QONNX as the same image, and onnxruntime's integers.

Weights and images are those of MLPerf Tiny and CIFAR-10 in the shared folder. It has none of MLPerf
Tiny's autoencoder, which learns made vectors here.
"""

from itertools import pairwise

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

import qnn
from qnn.bench import shared
from qnn.ir.encode import encode_input
from qnn.ir.reference import reference
from qnn.ir.shape import laid_out
from qnn.nn.zoo import ZOO, load_model
from tests.nearest import quantize

SETS = {
    "resnet20": shared.cifar10_test,
    "resnet8": shared.cifar10_test,
    "dscnn": shared.tiny_kws,
    "mobilenetv1_vww": shared.tiny_vww,
}
CALIBRATION, IMAGES = 64, 50


def trained(name, folder):
    """The exported graph of trained weights, and images that nothing was calibrated on."""
    entry, (pixels, _) = ZOO[name], SETS[name](folder)
    model = load_model(name, shared.checkpoint(folder, name))
    quantized = quantize(model, pixels[:CALIBRATION], mean=entry.mean, std=entry.std)
    return qnn.export(quantized), pixels[-IMAGES:].numpy()


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_a_trained_network_comes_back_as_the_same_image(name, shared_data, tmp_path):
    graph, _ = trained(name, shared_data)
    qnn.to_qonnx(graph, tmp_path / "model.onnx")
    found = qnn.from_qonnx(tmp_path / "model.onnx")
    assert found == graph
    one, other = (qnn.compile(each, "test").artifact.to_bytes() for each in (graph, found))
    assert one == other


WIDTHS = (640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640)


def autoencoder():
    """MLPerf Tiny's network for the sounds of machines, and vectors that it has learnt."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        x = torch.randn(512, 8) @ torch.randn(8, 640) + 0.1 * torch.randn(512, 640)
        layers = []
        for inputs, outputs in pairwise(WIDTHS):
            layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU()]
        model = nn.Sequential(*layers[:-2])
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for part in x.split(64) * 4:
        optimizer.zero_grad()
        nn.functional.mse_loss(model(part), part).backward()
        optimizer.step()
    return model.eval().requires_grad_(False), x


@pytest.mark.slow
def test_an_autoencoder_comes_back_as_the_same_image(tmp_path):
    model, x = autoencoder()
    graph = qnn.export(quantize(model, x[:CALIBRATION]))
    qnn.to_qonnx(graph, tmp_path / "model.onnx")
    found = qnn.from_qonnx(tmp_path / "model.onnx")
    assert found == graph
    one, other = (qnn.compile(each, "test").artifact.to_bytes() for each in (graph, found))
    assert one == other


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_onnxruntime_gives_its_integers_of_real_images(name, shared_data, tmp_path):
    graph, pixels = trained(name, shared_data)
    qnn.to_onnx(graph, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(
        str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"]
    )
    tensors = reference(graph, encode_input(graph, pixels), outputs_only=True)
    (output,), (source,) = graph.outputs, session.get_inputs()
    wanted = laid_out(tensors[output.name], output.axes, output.shape)
    (found,) = session.run([session.get_outputs()[0].name], {source.name: pixels})
    assert len(np.unique(wanted)) > 10
    np.testing.assert_array_equal(found, wanted)
