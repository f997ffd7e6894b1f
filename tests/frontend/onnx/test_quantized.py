"""Quantized files in the QDQ format: float networks again, and what they were calibrated to."""

import numpy as np
import torch

import qnn
from qnn.frontend.onnx.compare import difference
from qnn.frontend.onnx.read import from_onnx
from tests.frontend.onnx.files import helper, write
from tests.nearest import quantize

GENERATOR = np.random.default_rng(2)
node = helper.make_node


def some(*shape):
    return GENERATOR.uniform(-1, 1, shape).astype(np.float32)


def test_quantized_graphs_are_their_float_networks(tmp_path):
    nodes = [
        node("QuantizeLinear", ["x", "sx", "zx"], ["xq"]),
        node("DequantizeLinear", ["xq", "sx", "zx"], ["xf"]),
        node("DequantizeLinear", ["wq", "sw", "zw"], ["wf"], axis=0),
        node("Conv", ["xf", "wf"], ["y"]),
    ]
    constants = {
        "sx": np.float32(0.01),
        "zx": np.uint8(128),
        "wq": GENERATOR.integers(-128, 127, (4, 3, 1, 1)).astype(np.int8),
        "sw": np.float32([0.1, 0.2, 0.3, 0.4]),
        "zw": np.int8([0, 0, 0, 0]),
    }
    path = write(tmp_path / "m.onnx", nodes, {"x": ["n", 3, 4, 4]}, ["y"], constants)
    module, x = from_onnx(path), torch.from_numpy(some(2, 3, 4, 4))
    weight = constants["wq"].astype(np.float32) * constants["sw"].reshape(4, 1, 1, 1)
    torch.testing.assert_close(module(x), torch.conv2d(x, torch.from_numpy(weight)))


def quantized_file(path):
    """Two layers with quantizers before, between and behind them, calibrated to 0 to 2.55."""
    nodes = [
        node("QuantizeLinear", ["x", "sx", "zx"], ["xq"]),
        node("DequantizeLinear", ["xq", "sx", "zx"], ["xf"]),
        node("Conv", ["xf", "w"], ["c"]),
        node("Relu", ["c"], ["r"]),
        node("QuantizeLinear", ["r", "sr", "zr"], ["rq"]),
        node("DequantizeLinear", ["rq", "sr", "zr"], ["rf"]),
        node("Conv", ["rf", "v"], ["y"]),
    ]
    constants = {
        **{"sx": np.float32(0.02), "zx": np.uint8(128), "w": 4 * some(4, 3, 1, 1)},
        **{"sr": np.float32(0.01), "zr": np.uint8(0), "v": some(2, 4, 1, 1)},
    }
    return write(path, nodes, {"x": ["n", 3, 4, 4]}, ["y"], constants)


def test_a_quantized_file_equals_onnxruntime_where_its_quantizers_round(tmp_path):
    path = quantized_file(tmp_path / "m.onnx")
    found = difference(path, from_onnx(path))
    assert found.rounds
    assert found.largest < 1e-5


def test_types_follow_from_what_a_quantized_file_was_calibrated_to(tmp_path):
    module, images = from_onnx(quantized_file(tmp_path / "m.onnx")), 3 * torch.rand(8, 3, 4, 4)
    assert module.Conv_c(2, images).max() > 6
    (hidden,) = [
        each for each in qnn.export(quantize(module, images)).nodes if each.name == "Conv_c"
    ]
    # Of 8 bits without a sign: the largest value is at most 255 / 2**6.
    assert hidden.type.exponent >= 6
