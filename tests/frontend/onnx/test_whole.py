"""Files that take or give whole numbers: pixels of 8 bits, and integers of quantizers."""

import numpy as np
import pytest
import torch
from onnx import TensorProto

from qnn.frontend.onnx.compare import check_equal
from qnn.frontend.onnx.read import from_onnx
from tests.frontend.onnx.files import helper, onnx, run, write

GENERATOR = np.random.default_rng(4)
node = helper.make_node
CONSTANTS = {
    "w": GENERATOR.uniform(-1, 1, (2, 3, 3, 3)).astype(np.float32),
    **{"s": np.float32(0.02), "z": np.uint8(3), "k": np.float32(1 / 255)},
}
# Before the convolution, which reads "t".
PIXELS = {
    "a cast": [node("Cast", ["x"], ["t"], to=TensorProto.FLOAT)],
    "a cast and a factor": [
        node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        node("Mul", ["f", "k"], ["t"]),
    ],
    "a scale": [node("DequantizeLinear", ["x", "s", "z"], ["t"])],
}


@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
@pytest.mark.parametrize("kind", PIXELS)
def test_pixels_are_what_the_file_takes(kind, last, tmp_path):
    nodes, shape = [*PIXELS[kind], node("Conv", ["t", "w"], ["y"])], ["n", 3, 8, 8]
    if last:
        nodes = [node("Transpose", ["p"], ["x"], perm=[0, 3, 1, 2]), *nodes]
        shape = ["n", 8, 8, 3]
    path = write(tmp_path / "m.onnx", nodes, {"p" if last else "x": shape}, ["y"], CONSTANTS)
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    onnx.save(model, path)
    module = from_onnx(path)
    check_equal(path, module)
    pixels = GENERATOR.integers(0, 256, (2, 3, 8, 8)).astype(np.uint8)
    (wanted,) = run(path, pixels.transpose(0, 2, 3, 1) if last else pixels)
    with torch.no_grad():
        found = module(torch.from_numpy(pixels).float()).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("zero", [True, False], ids=["a zero point", "none"])
def test_integers_that_a_file_gives_are_reals_here(zero, tmp_path):
    numbers = ["s", "z"] if zero else ["s"]
    nodes = [
        node("Conv", ["x", "w"], ["c"]),
        node("QuantizeLinear", ["c", *numbers], ["q"]),
        node("Flatten", ["q"], ["y"]),
    ]
    path = write(tmp_path / "m.onnx", nodes, {"x": ["n", 3, 4, 4]}, ["y"], CONSTANTS)
    module = from_onnx(path)
    assert check_equal(path, module).rounds
    images = GENERATOR.uniform(0, 0.2, (2, 3, 4, 4)).astype(np.float32)
    (integers,) = run(path, images)
    reals = (integers.astype(np.float32) - (3 if zero else 0)) * 0.02
    with torch.no_grad():
        found = module(torch.from_numpy(images)).numpy()
    # A float network does not round: half a step.
    np.testing.assert_allclose(found, reals, atol=0.0101)
