"""Names that a file may have, and that mean something else to Python, are names like others."""

import numpy as np
import pytest

from tests.frontend.onnx.files import check_equal, helper, write

node = helper.make_node
WORDS = ["class", "None", "self", "torch", "getattr", "x\u00b2", "\u00e9", "1x", "a b", "images"]


@pytest.mark.parametrize("name", WORDS)
def test_inputs(name, tmp_path):
    path = write(tmp_path / "m.onnx", [node("Relu", [name], ["y"])], {name: ["n", 4]}, ["y"])
    check_equal(path, (4,))


@pytest.mark.parametrize(
    "name", [*WORDS, "graph", "code", "meta", "forward", "training", "_modules"]
)
def test_layers(name, tmp_path):
    made = node("Relu", ["x"], ["y"], name=name)
    check_equal(write(tmp_path / "m.onnx", [made], {"x": ["n", 4]}, ["y"]), (4,))


def test_inputs_that_are_one_word(tmp_path):
    inputs = {"a.b": ["n", 4], "a_b": ["n", 4]}
    path = write(tmp_path / "m.onnx", [node("Sub", ["a.b", "a_b"], ["y"])], inputs, ["y"])
    check_equal(path, (4,), (4,))


def test_a_constant_of_more_axes_than_the_input(tmp_path):
    nodes = [node("Add", ["x", "c"], ["s"]), node("ReduceSum", ["s", "axis"], ["y"], keepdims=0)]
    constants = {"c": np.ones((1, 1, 1, 1, 2), np.float32), "axis": np.array([0])}
    path = write(tmp_path / "m.onnx", nodes, {"x": ["n", 3, 4, 1]}, ["y"], constants)
    check_equal(path, (3, 4, 1))
