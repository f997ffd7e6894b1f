"""ONNX files of a few nodes, and what onnxruntime computes of a file."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from qnn.frontend.onnx.read import from_onnx

# What onnxruntime 1.32 takes; newer ones are onnx's own.
IR_VERSION = 8


def write(
    path: Path,
    nodes: list,
    inputs: dict[str, list],
    outputs: list[str],
    constants: dict[str, np.ndarray] | None = None,
    opset: int = 17,
) -> Path:
    """A file with these nodes; sizes of inputs may be words."""
    graph = helper.make_graph(
        nodes,
        "tested",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    # Types of results are onnxruntime's to find.
    for each in graph.output:
        each.ClearField("type")
    domains = {"": opset, "com.microsoft": 1, "ai.onnx.ml": 1}
    imports = [helper.make_opsetid(*each) for each in domains.items()]
    model = helper.make_model(graph, opset_imports=imports, ir_version=IR_VERSION)
    path.write_bytes(model.SerializeToString())
    return path


def run(path: Path, *images: np.ndarray) -> list[np.ndarray]:
    """What onnxruntime gives, of one run for each image where the file has one image at a time."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    given = session.get_inputs()
    if images and given[0].shape[0] != 1:
        return session.run(None, {g.name: x for g, x in zip(given, images, strict=True)})
    each = [
        session.run(None, {g.name: x[n : n + 1] for g, x in zip(given, images, strict=True)})
        for n in range(len(images[0]))
    ]
    return [np.concatenate(parts) for parts in zip(*each, strict=True)]


def check_equal(path: Path, *shapes: tuple[int, ...], low: float = -2, high: float = 2) -> None:
    """The module of a file gives what onnxruntime does, of three random images."""
    generator = np.random.default_rng(0)
    images = [generator.uniform(low, high, (3, *s)).astype(np.float32) for s in shapes]
    with torch.no_grad():
        found = from_onnx(path, shapes)(*map(torch.from_numpy, images))
    found = found if isinstance(found, tuple) else (found,)
    for ours, theirs in zip(found, run(path, *images), strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours.numpy(), theirs, atol=2e-5, rtol=2e-5)


__all__ = ["check_equal", "helper", "onnx", "run", "write"]
