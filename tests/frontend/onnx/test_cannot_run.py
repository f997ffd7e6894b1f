"""Files whose shapes seem to fit and whose values do not."""

import re

import numpy as np
import pytest

from qnn.errors import ModelError
from qnn.frontend.onnx.compare import difference
from qnn.frontend.onnx.read import from_onnx
from tests.frontend.onnx.files import helper, write


def test_values_that_are_no_number_in_pytorch_alone_are_told(tmp_path):
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Log", ["c"], ["l"]),
        helper.make_node("MaxPool", ["l"], ["y"], kernel_shape=[2, 2]),
    ]
    # Of some pixels more than 0, and of others less: PyTorch's maximum of the logarithms is none.
    constants = {"w": np.float32([[[[1]], [[-1]]]])}
    path = write(tmp_path / "m.onnx", nodes, {"x": ["n", 2, 8, 8]}, ["y"], constants)
    with pytest.raises(ModelError) as error:
        difference(path, from_onnx(path))
    assert re.fullmatch(
        rf"{re.escape(str(path))}: output 'y' needs to be a number for any pixels, but PyTorch or "
        r"the runtime gives none for \d+ of 98 values of random images; clamp what a logarithm, a "
        r"root or a quotient is computed of",
        str(error.value),
    )


def test_a_network_that_pytorch_cannot_run_is_refused(tmp_path):
    # A bias of another number of channels, which shapes alone do not show.
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["y"])]
    constants = {"w": np.ones((2, 1, 3, 3), np.float32), "b": np.ones((3, 4), np.float32)}
    path = write(tmp_path / "m.onnx", nodes, {"x": ["n", 1, 4, 4]}, ["y"], constants)
    with pytest.raises(ModelError) as error:
        difference(path, from_onnx(path))
    text = str(error.value)
    assert "\n" not in text
    assert text.startswith(f"{path}: ")
