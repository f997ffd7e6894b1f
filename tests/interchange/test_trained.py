"""Trained networks by way of files: back from QONNX as the same image, and onnxruntime's integers.

Weights and images are those of MLPerf Tiny and CIFAR-10 in the shared folder.
"""

import numpy as np
import onnxruntime
import pytest

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
