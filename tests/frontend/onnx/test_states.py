"""Inputs that are no images: states of recurrent layers, and numbers that a network is made for."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

import qnn
from qnn.errors import ModelError
from qnn.frontend.onnx.compare import difference
from qnn.frontend.onnx.read import from_onnx
from tests.frontend.onnx.files import write
from tests.nearest import quantize

HIDDEN, STEPS, WIDE = 3, 2, 4


def some(*shape):
    return np.random.default_rng(3).uniform(-1, 1, shape).astype(np.float32)


def recurrent(path: Path, x: list, state: list) -> Path:
    """One GRU of two directions over (images, steps, values), whose last state is an output."""
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        helper.make_node(
            *("GRU", ["t", "w", "r", "b", "", "h"], ["all", "last"]),
            **{"hidden_size": HIDDEN, "direction": "bidirectional", "linear_before_reset": 1},
        ),
        helper.make_node("ReduceSum", ["last", "zero"], ["s"], keepdims=0),
        helper.make_node("Sigmoid", ["s"], ["y"]),
    ]
    constants = {
        **{"w": some(2, 3 * HIDDEN, WIDE), "r": some(2, 3 * HIDDEN, HIDDEN)},
        **{"b": some(2, 6 * HIDDEN), "zero": np.array([0])},
    }
    return write(path, nodes, {"x": x, "h": state}, ["y", "last"], constants)


@pytest.mark.parametrize(
    ("x", "state"),
    [
        (["n", STEPS, WIDE], [2, "n", HIDDEN]),  # by the name of the axis
        ([1, STEPS, WIDE], [2, 1, HIDDEN]),  # one image
        (["n", STEPS, WIDE], [2, 1, HIDDEN]),  # a state for one
        ([None, STEPS, WIDE], [2, None, HIDDEN]),  # without names
    ],
)
def test_a_state_has_its_images_first_whatever_the_file_says(x, state, tmp_path):
    module = from_onnx(recurrent(tmp_path / "m.onnx", x, state))
    assert [tuple(each.shape) for each in module.example_input_array] == [
        (1, STEPS, WIDE),
        (1, 2, HIDDEN),
    ]
    assert difference(tmp_path / "m.onnx", module).largest < 1e-5
    given = torch.rand(5, STEPS, WIDE), torch.rand(5, 2, HIDDEN)
    with torch.no_grad():
        scores, last = module(*given)
        each = [module(*(part[n : n + 1] for part in given)) for n in range(5)]
    assert (scores.shape, last.shape) == ((5, HIDDEN), (5, 2, HIDDEN))
    torch.testing.assert_close(scores, torch.cat([one for one, _ in each]))
    torch.testing.assert_close(last, torch.cat([other for _, other in each]))


def test_a_network_with_a_state_is_computed_step_by_step(tmp_path):
    path = recurrent(tmp_path / "m.onnx", ["n", STEPS, WIDE], [2, "n", HIDDEN])
    module, images = from_onnx(path), (torch.rand(8, STEPS, WIDE), torch.rand(8, 2, HIDDEN))
    design = qnn.compile(qnn.export(quantize(module, images)), config="test")
    assert [output.shape for output in design.graph.outputs] == [(HIDDEN,), (2, HIDDEN)]
    assert qnn.verify(design, tuple(each[:2].numpy() for each in images), "functional").passed


def two_rates(path: Path) -> Path:
    """A branch for each rate, which an input that is one number decides."""
    branches = {
        f"{name}_branch": helper.make_graph(
            [helper.make_node(kind, ["x"], [name])],
            name,
            [],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)],
        )
        for name, kind in (("then", "Relu"), ("else", "Tanh"))
    }
    nodes = [
        helper.make_node("Equal", ["rate", "sixteen"], ["is"]),
        helper.make_node("If", ["is"], ["y"], **branches),
    ]
    write(path, nodes, {"x": ["n", 4], "rate": []}, ["y"], {"sixteen": np.array(16)})
    model = onnx.load(path)
    model.graph.input[1].type.tensor_type.elem_type = TensorProto.INT64
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize(("rate", "function"), [(16, torch.relu), (8, torch.tanh)])
def test_a_number_decides_which_network_is_meant(rate, function, tmp_path):
    path = two_rates(tmp_path / "m.onnx")
    module, x = from_onnx(path, [(4,), rate]), torch.randn(3, 4)
    torch.testing.assert_close(module(x), function(x))
    assert difference(path, module).equal


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            None,
            "input 'rate' needs the number that the network is compiled for; give --input-shape "
            "once for each of 'x', 'rate', and of those that are numbers =16000",
        ),
        ([(4,), (1,)], "input 'rate' needs a number, as =16000, not (1,); correct it"),
        ([16, (4,)], "input 'x' needs a shape, not 16; correct it"),
    ],
)
def test_a_number_that_is_not_given(given, text, tmp_path):
    with pytest.raises(ModelError) as error:
        from_onnx(two_rates(tmp_path / "m.onnx"), given)
    assert str(error.value) == text
