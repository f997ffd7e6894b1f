"""A module of any number of images takes one, too."""

import numpy as np
import pytest
import torch

from qnn.frontend.onnx.compare import difference
from qnn.frontend.onnx.read import from_onnx
from tests.frontend.onnx.files import helper, write


@pytest.mark.parametrize("images", ["n", 1])
def test_an_axis_of_one_image_is_not_squeezed(images, tmp_path):
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["p"]),
        helper.make_node("Squeeze", ["p"], ["s"]),
        helper.make_node("MatMul", ["s", "w"], ["y"]),
    ]
    w = np.random.default_rng(0).uniform(-1, 1, (3, 2)).astype(np.float32)
    path = write(tmp_path / "m.onnx", nodes, {"x": [images, 3, 4, 4]}, ["y"], {"w": w})
    module = from_onnx(path)
    x = torch.rand(2, 3, 4, 4)
    with torch.no_grad():
        both = module(x)
        np.testing.assert_allclose(both, x.mean((2, 3)).numpy() @ w, rtol=1e-5, atol=1e-6)
        assert torch.equal(torch.cat([module(x[:1]), module(x[1:])]), both)
    assert difference(path, module).equal
