"""Small files that would make something large are refused before it is made."""

import re

import numpy as np
import pytest

from tests.frontend.onnx.files import helper, write
from tests.frontend.onnx.test_hostile import some, told

node = helper.make_node


@pytest.mark.parametrize(
    ("kind", "constants"),
    [
        ("ConstantOfShape", {"c": np.array([1 << 20, 1 << 20])}),
        ("Tile", {"w": some(4, 4), "c": np.array([1 << 15, 1 << 15])}),
        ("Expand", {"w": some(1), "c": np.array([1 << 20, 1 << 20])}),
        ("Range", {"w": np.array(0), "c": np.array(1 << 40), "d": np.array(1)}),
    ],
)
def test_constants_that_would_fill_the_memory(kind, constants, tmp_path):
    nodes = [node(kind, list(constants), ["big"], name="big"), node("Add", ["x", "s"], ["y"])]
    nodes.insert(1, node("ReduceMax", ["big"], ["s"], keepdims=0))
    path = write(tmp_path / "m.onnx", nodes, {"x": ["n", 4]}, ["y"], constants)
    assert re.search("at most (536,870,912|134,217,728) values", told(path))


def test_a_resize_that_would_fill_the_memory(tmp_path):
    constants = {"c": np.float32([1, 1, 1, 1 << 29])}
    made = node("Resize", ["x", "", "c"], ["y"], name="big", mode="nearest")
    path = write(tmp_path / "m.onnx", [made], {"x": ["n", 1, 4, 4]}, ["y"], constants)
    assert told(path) == (
        "layer 'big' (onnx.Resize) needs 1 to 536,870,912 values, not [2, 1, 4, 2147483648]; give "
        "it a smaller scale"
    )


def test_constants_that_fill_the_memory_together(tmp_path):
    # Copies of one number, so that the test takes no memory.
    nodes = [node("Expand", ["w", "c"], [f"b{n}"], name=f"b{n}") for n in range(3)]
    nodes.append(node("Sum", ["x", "b0", "b1", "b2"], ["y"]))
    constants = {"w": some(1), "c": np.array([1 << 26])}
    path = write(tmp_path / "m.onnx", nodes, {"x": ["n", 1]}, ["y"], constants)
    assert told(path).startswith("layer 'b2' (onnx.Expand) needs at most 134,217,728 values")


@pytest.mark.parametrize("size", [1 << 30, 1 << 62])
def test_inputs_that_would_fill_the_memory(size, tmp_path):
    path = write(tmp_path / "m.onnx", [node("Relu", ["x"], ["y"])], {"x": ["n", 4, size]}, ["y"])
    assert told(path) == (
        f"input 'x' needs at most 67,108,864 values, not (4,{size}); give it a smaller shape"
    )
