"""Convolutions of lines in images of one row: the same values, and no row where none is needed."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qnn.frontend.capture import capture
from qnn.frontend.onnx.read import from_onnx
from tests.frontend.onnx.files import check_equal, helper, write

node = helper.make_node
CHANNELS, VALUES = 3, 11
AXES = {"row": np.array([2])}
FOLLOW = {
    "relu": (node("Relu", ["{x}"], ["{y}"]), {}),
    "bias": (node("Add", ["{x}", "bias"], ["{y}"]), {"bias": (1, CHANNELS, 1, 1)}),
    "factor": (node("Mul", ["factor", "{x}"], ["{y}"]), {"factor": (1,)}),
    "residual": (node("Add", ["{x}", "{x}"], ["{y}"]), {}),
    # What looks at the row itself.
    "softmax": (node("Softmax", ["{x}"], ["{y}"], axis=1), {}),
    "rows": (node("Conv", ["{x}", "rows"], ["{y}"], pads=[1, 0, 1, 0]), {"rows": (3, 3, 3, 1)}),
}
ENDS = {
    "squeeze": [node("Squeeze", ["{x}", "row"], ["y"])],
    "none": [node("Neg", ["{x}"], ["y"])],
    "reshape": [node("Reshape", ["{x}", "sizes"], ["y"])],
}


def named(template, x, y):
    """The node with names for what it reads and gives."""
    made = type(template)()
    made.CopyFrom(template)
    for names in (made.input, made.output):
        held = [each.format(x=x, y=y) for each in names]
        del names[:]
        names.extend(held)
    return made


@st.composite
def convolutions(draw):
    """Attributes of a convolution along a row, and the shape of its weights."""
    group = draw(st.sampled_from([1, CHANNELS]))
    width = draw(st.integers(1, 3))
    attributes = {
        "group": group,
        "strides": [1, draw(st.integers(1, 2))],
        "dilations": [1, draw(st.integers(1, 2))],
        "pads": [0, draw(st.integers(2, 4)), 0, draw(st.integers(2, 4))],
    }
    return attributes, (CHANNELS, CHANNELS // group, 1, width)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(st.sampled_from([*FOLLOW]) | convolutions(), max_size=4),
    first=convolutions(),
    end=st.sampled_from([*ENDS]),
)
def test_every_network_of_lines_is_the_file(tmp_path_factory, steps, first, end):
    generator = np.random.default_rng(0)
    nodes, constants = [node("Unsqueeze", ["x", "row"], ["v"])], {**AXES}
    for number, step in enumerate((first, *steps)):
        x, y = ("v", "v0") if not number else (f"v{number - 1}", f"v{number}")
        if isinstance(step, str):
            template, shapes = FOLLOW[step]
        else:
            template, shapes = node("Conv", ["{x}", f"w{number}"], ["{y}"], **step[0]), {}
            shapes = {f"w{number}": step[1]}
        nodes.append(named(template, x, y))
        constants |= {n: generator.normal(size=s).astype(np.float32) for n, s in shapes.items()}
    # Where something has given the line more rows, it cannot be squeezed.
    ending = ENDS["reshape" if "rows" in steps and end == "squeeze" else end]
    nodes += [named(each, f"v{len(steps)}", "") for each in ending]
    constants["sizes"] = np.array([0, -1, 1])
    path = tmp_path_factory.getbasetemp() / "line.onnx"
    check_equal(write(path, nodes, {"x": ["n", CHANNELS, VALUES]}, ["y"], constants), (3, 11))


@pytest.mark.parametrize("shape", [(6,), (3, 6)])
@pytest.mark.parametrize("axis", [1, 2, -1, -2])
@pytest.mark.parametrize("rows", [0, 1])
def test_a_row_that_no_convolution_reads_may_be_of_any_rank(shape, axis, rows, tmp_path):
    """A size of zero is that of the axis in its place, which the row moves."""
    if axis > len(shape) + 1:
        pytest.skip("there is no such axis")
    sizes = [0] * (1 + rows) + [-1] + [1] * (len(shape) - rows)
    nodes = [node("Unsqueeze", ["x", "row"], ["v"]), node("Reshape", ["v", "sizes"], ["y"])]
    constants = {"row": np.array([axis]), "sizes": np.array(sizes)}
    path = write(tmp_path / "m.onnx", nodes, {"x": ["n", *shape]}, ["y"], constants)
    check_equal(path, shape)


@pytest.mark.parametrize("opset", [11, 17])
def test_a_line_of_tensorflow_is_a_line_without_any_turn(opset, tmp_path):
    # As a causal Conv1D and a MaxPooling1D of Keras are written, of (images, values, channels).
    generator = np.random.default_rng(0)
    lists = {"pads": [0, 2, 0, 0, 0, 0], "one": [1], "two": [2], "sizes": [-1, 4, 8, 1]}
    constants = {name: np.array(each) for name, each in lists.items()}
    constants["w"] = generator.normal(size=(4, 3, 1, 3)).astype(np.float32)
    constants["b"] = generator.normal(size=(1, 4, 1)).astype(np.float32)

    def axes(kind, x, y, name):
        if opset < 13:
            return node(kind, [x], [y], axes=lists[name])
        return node(kind, [x, name], [y])

    nodes = [
        node("Pad", ["x", "pads"], ["padded"]),
        axes("Unsqueeze", "padded", "rows", "one"),
        node("Transpose", ["rows"], ["first"], perm=[0, 3, 1, 2]),
        node("Conv", ["first", "w"], ["made"]),
        axes("Squeeze", "made", "line", "two"),
        node("Add", ["line", "b"], ["added"]),
        node("Relu", ["added"], ["kept"]),
        axes("Unsqueeze", "kept", "again", "two"),
        node("Reshape", ["again", "sizes"], ["column"]),
        node("MaxPool", ["column"], ["y"], kernel_shape=[2, 1], strides=[2, 1]),
    ]
    path = write(tmp_path / "m.onnx", nodes, {"x": ["n", 8, 3]}, ["y"], constants, opset)
    module = from_onnx(path)
    (given,) = module.example_input_array
    assert given.shape == (1, 3, 8)
    images = torch.rand(2, 3, 8, generator=torch.Generator().manual_seed(0))
    kinds = [each.kind for each in capture(module, images).nodes]
    assert kinds == ["input", "pad", "conv", "affine", "clamp", "maxpool"]
    with torch.no_grad():
        wanted = torch.conv1d(
            torch.nn.functional.pad(images, (2, 0)), torch.from_numpy(constants["w"])[:, :, 0]
        )
        wanted = (wanted + torch.from_numpy(constants["b"])).relu()
        torch.testing.assert_close(
            module(images)[..., 0], torch.nn.functional.max_pool1d(wanted, 2), atol=1e-5, rtol=1e-5
        )
