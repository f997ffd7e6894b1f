"""Recurrent layers of other shapes than they say: PyTorch's own would write beyond them."""

import numpy as np
import pytest

from qnn.errors import QnnError
from qnn.frontend.onnx.read import from_onnx
from tests.frontend.onnx.files import helper, write

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
STEPS, WIDE, HIDDEN = 2, 4, 3


def file(path, kind, change=None, shape=None, **attributes):
    """One layer over (images, steps, values), of whose operands one has another shape."""
    rows = GATES[kind] * HIDDEN
    shapes = {"w": (1, rows, WIDE), "r": (1, rows, HIDDEN), "b": (1, 2 * rows), "h": (1, 1, HIDDEN)}
    if change:
        shapes[change] = shape
    constants = {name: np.ones(each, np.float32) for name, each in shapes.items()}
    attributes = {"hidden_size": HIDDEN, **attributes}
    if kind == "GRU":
        attributes["linear_before_reset"] = 1
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        helper.make_node(kind, ["t", "w", "r", "b", "", "h"], ["all", "y"], **attributes),
    ]
    return write(path, nodes, {"x": [1, STEPS, WIDE]}, ["y"], constants)


@pytest.mark.parametrize("kind", GATES)
def test_layers_that_fit_are_read(kind, tmp_path):
    from_onnx(file(tmp_path / "m.onnx", kind))


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize(
    ("change", "shape"),
    [
        *(("w", (1, 5, WIDE)), ("w", (1, 12, 9)), ("w", (2, 12, WIDE)), ("w", ())),
        *(("r", (1, 12, 1)), ("r", (1, 1, HIDDEN)), ("b", (1, 5)), ("b", (24,))),
        *(("h", (1, 2, HIDDEN)), ("h", (1, 1, 1)), ("h", (HIDDEN,))),
    ],
)
def test_other_shapes_are_refused(kind, change, shape, tmp_path):
    with pytest.raises(QnnError) as error:
        from_onnx(file(tmp_path / "m.onnx", kind, change, shape))
    assert "\n" not in str(error.value)
    assert f"(onnx.{kind}) needs" in str(error.value)


def test_a_layer_of_no_size_and_one_of_a_direction_that_it_has_not(tmp_path):
    for attributes in ({"hidden_size": 0}, {"direction": "bidirectional"}):
        with pytest.raises(QnnError, match=r"\(onnx.LSTM\) needs"):
            from_onnx(file(tmp_path / "m.onnx", "LSTM", **attributes))
