"""Files that onnxruntime has optimized and saved, in which several nodes are one of its own."""

import numpy as np
import onnxruntime
import pytest

from qnn.errors import ModelError
from qnn.frontend.onnx.read import from_onnx
from tests.frontend.onnx.files import check_equal, helper, onnx, write

GENERATOR = np.random.default_rng(4)
node = helper.make_node


def some(*shape):
    return GENERATOR.uniform(-1, 1, shape).astype(np.float32)


def network(path):
    """Two convolutions with a sum and functions, a linear layer, and a product with a number."""
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["a"], pads=[1, 1, 1, 1]),
        node("LeakyRelu", ["a"], ["r"], alpha=0.2),
        node("Conv", ["r", "w2", "b2"], ["c"], pads=[1, 1, 1, 1]),
        node("Add", ["c", "r"], ["s"]),
        node("Relu", ["s"], ["t"]),
        node("GlobalAveragePool", ["t"], ["g"]),
        node("Flatten", ["g"], ["f"]),
        node("Gemm", ["f", "w3", "b3"], ["h"]),
        node("Relu", ["h"], ["y"]),
    ]
    constants = {
        **{"w1": some(4, 3, 3, 3), "b1": some(4), "w2": some(4, 4, 3, 3), "b2": some(4)},
        **{"w3": some(4, 5), "b3": some(5)},
    }
    return write(path, nodes, {"x": ["n", 3, 6, 5]}, ["y"], constants)


def optimized(path, level):
    """The file that onnxruntime saves beside ``path``."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    options.optimized_model_filepath = str(path.with_suffix(".optimized.onnx"))
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return path.with_suffix(".optimized.onnx")


def test_nodes_that_were_joined_are_read(tmp_path):
    path = optimized(network(tmp_path / "m.onnx"), "ORT_ENABLE_EXTENDED")
    found = {each.op_type for each in onnx.load(path).graph.node}
    assert {"FusedConv", "FusedGemm"} <= found
    check_equal(path, (3, 6, 5))


def test_a_convolution_that_was_joined_with_a_sum_is_read(tmp_path):
    joined = {"domain": "com.microsoft", "activation": "Relu", "pads": [1, 1, 1, 1]}
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["a"], pads=[1, 1, 1, 1]),
        node("FusedConv", ["a", "w2", "b2", "a"], ["y"], **joined),
    ]
    constants = {"w1": some(4, 3, 3, 3), "b1": some(4), "w2": some(4, 4, 3, 3), "b2": some(4)}
    path = write(tmp_path / "m.onnx", nodes, {"x": ["n", 3, 6, 5]}, ["y"], constants)
    check_equal(path, (3, 6, 5))


def test_layouts_of_one_processor_are_refused(tmp_path):
    path = optimized(network(tmp_path / "m.onnx"), "ORT_ENABLE_ALL")
    if not any("nchwc" in each.domain for each in onnx.load(path).graph.node):
        pytest.skip("this processor has no layout of its own in onnxruntime")
    with pytest.raises(ModelError, match="save the model before it is optimized for a processor"):
        from_onnx(path)
