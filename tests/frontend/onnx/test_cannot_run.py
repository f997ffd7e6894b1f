"""Files whose shapes seem to fit and whose values do not."""

import numpy as np
import pytest

from qnn.errors import ModelError
from qnn.frontend.onnx.compare import difference
from qnn.frontend.onnx.read import from_onnx
from tests.frontend.onnx.files import helper, write


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
