"""Graphs of several nodes: sizes, constants, choices, layouts, recurrent layers and batches."""

import numpy as np
import onnx
import pytest
import torch

from qnn.frontend.capture import capture
from qnn.frontend.onnx.read import from_onnx
from tests.frontend.onnx.files import check_equal, helper, write

GENERATOR = np.random.default_rng(2)
node = helper.make_node


def some(*shape):
    return GENERATOR.uniform(-1, 1, shape).astype(np.float32)


def ints(*values):
    return np.array(values, dtype=np.int64)


def test_sizes_that_are_computed_follow_the_batch(tmp_path):
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "zero"], ["images"], axis=0),
        node("Size", ["x"], ["all"]),
        node("Div", ["all", "images"], ["each"]),
        node("Unsqueeze", ["images", "axes"], ["first"]),
        node("Unsqueeze", ["each", "axes"], ["rest"]),
        node("Concat", ["first", "rest"], ["sizes"], axis=0),
        node("Reshape", ["x", "sizes"], ["y"]),
    ]
    constants = {"zero": np.array(0), "axes": ints(0)}
    path = write(tmp_path / "m.onnx", nodes, {"x": ["n", 4, 3, 2]}, ["y"], constants)
    check_equal(path, (4, 3, 2))


def test_a_file_of_one_image_takes_any_number(tmp_path):
    nodes = [
        node("Constant", [], ["sizes"], value=onnx.numpy_helper.from_array(ints(1, 24))),
        node("Reshape", ["x", "sizes"], ["flat"]),
        node("Gemm", ["flat", "w"], ["z"]),
        node("Reshape", ["z", "back"], ["y"]),
    ]
    constants = {"w": some(24, 6), "back": ints(1, -1, 2)}
    path = write(tmp_path / "m.onnx", nodes, {"x": [1, 4, 3, 2]}, ["y"], constants)
    assert not from_onnx(path).graph.find_nodes(op="placeholder")[0].meta.get("val")
    check_equal(path, (4, 3, 2))


def test_a_file_whose_images_cannot_be_told_apart_stays_at_its_number(tmp_path):
    nodes = [
        node("Reshape", ["x", "places"], ["flat"]),
        node("MatMul", ["flat", "w"], ["z"]),
        node("Reshape", ["z", "back"], ["y"]),
    ]
    constants = {"w": some(3, 6), "places": ints(4, 3), "back": ints(1, 24)}
    path = write(tmp_path / "m.onnx", nodes, {"x": [1, 4, 3]}, ["y"], constants)
    module = from_onnx(path)
    assert tuple(module.graph.find_nodes(op="placeholder")[0].meta["val"].shape) == (1, 4, 3)
    assert module(torch.zeros(1, 4, 3)).shape == (1, 24)


def test_constants_are_folded(tmp_path):
    nodes = [
        node("ConstantOfShape", ["two"], ["ones"], value=onnx.numpy_helper.from_array(ints(1))),
        node("Range", ["start", "end", "step"], ["row"]),
        node("Cast", ["row"], ["reals"], to=onnx.TensorProto.FLOAT),
        node("NonZero", ["row"], ["places"]),
        node("Cast", ["ones"], ["more"], to=onnx.TensorProto.FLOAT),
        node("ReduceSum", ["more"], ["sum"], keepdims=0),
        node("Mul", ["reals", "sum"], ["w"]),
        node("CastLike", ["places", "x"], ["like"]),
        node("ReduceMean", ["like"], ["mean"], keepdims=0),
        node("EyeLike", ["square"], ["diagonal"]),
        node("ReduceSum", ["diagonal", "rows"], ["ones_again"], keepdims=0),
        node("Mul", ["w", "ones_again"], ["v"]),
        node("Add", ["x", "v"], ["z"]),
        node("Add", ["z", "mean"], ["y"]),
    ]
    constants = {
        **{"two": ints(2, 3), "start": np.array(0), "end": np.array(5), "step": np.array(1)},
        **{"square": some(5, 5), "rows": ints(0)},
    }
    path = write(tmp_path / "m.onnx", nodes, {"x": ["n", 5]}, ["y"], constants)
    check_equal(path, (5,))
    # Both sums, and nothing of what they add.
    assert [name for name, _ in from_onnx(path).named_children()] == ["Add_z", "Add_y"]


def test_what_no_output_needs_is_not_read(tmp_path):
    nodes = [
        node("NonZero", ["x"], ["places"]),
        node("Transpose", ["places"], ["rows"]),
        node("Relu", ["x"], ["y"]),
        node("Unique", ["y"], ["values"]),
    ]
    path = write(tmp_path / "m.onnx", nodes, {"x": ["n", 4]}, ["y"])
    check_equal(path, (4,))
    assert [each.node.kind for each in from_onnx(path).children()] == ["Relu"]


def test_choices_of_values(tmp_path):
    nodes = [
        node("Greater", ["x", "zero"], ["a"]),
        node("LessOrEqual", ["x", "one"], ["b"]),
        node("And", ["a", "b"], ["c"]),
        node("Less", ["x", "minus"], ["d"]),
        node("Or", ["c", "d"], ["e"]),
        node("GreaterOrEqual", ["x", "one"], ["f"]),
        node("Xor", ["e", "f"], ["g"]),
        node("Not", ["g"], ["h"]),
        node("Equal", ["x", "zero"], ["i"]),
        node("IsNaN", ["x"], ["j"]),
        node("IsInf", ["x"], ["k"]),
        node("Or", ["j", "k"], ["l"]),
        node("Or", ["i", "l"], ["m"]),
        node("Or", ["h", "m"], ["o"]),
        node("Where", ["o", "x", "zero"], ["y"]),
    ]
    constants = {"zero": np.float32(0), "one": np.float32(1), "minus": np.float32(-1)}
    path = write(tmp_path / "m.onnx", nodes, {"x": ["n", 4, 5]}, ["y"], constants)
    check_equal(path, (4, 5))


def test_selections_by_constant_places(tmp_path):
    nodes = [
        node("GatherElements", ["w", "each"], ["a"], axis=1),
        node("GatherND", ["w", "pairs"], ["b"]),
        node("ScatterND", ["w", "pairs", "b"], ["g"]),
        node("ScatterElements", ["g", "each", "a"], ["h"], axis=1),
        node("ScatterElements", ["h", "back", "a"], ["c"], axis=1, reduction="add"),
        node("OneHot", ["labels", "depth", "values"], ["d"]),
        node("Add", ["a", "c"], ["e"]),
        node("Add", ["e", "d"], ["f"]),
        node("Add", ["x", "f"], ["y"]),
    ]
    constants = {
        "w": some(3, 4),
        "each": ints([0, 1, 2, 3], [3, 2, 1, 0], [1, 1, 1, 1]),
        "back": ints([-1, 0, -2, 1], [0, -1, 0, 2], [1, 1, -4, 3]),
        "pairs": ints([0, 1], [2, 3]),
        "labels": ints(0, 2, 3),
        "depth": ints(4),
        "values": np.float32([0, 2]),
    }
    path = write(tmp_path / "m.onnx", nodes, {"x": ["n", 3, 4]}, ["y"], constants)
    check_equal(path, (3, 4))


def test_the_branch_that_a_constant_chooses_is_taken(tmp_path):
    def branch(kind):
        made = node(kind, ["x"], [f"{kind}_result"])
        given = helper.make_tensor_value_info(f"{kind}_result", onnx.TensorProto.FLOAT, None)
        return helper.make_graph([made], kind, [], [given])

    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Size", ["shape"], ["rank"]),
        node("Equal", ["rank", "two"], ["flat"]),
        node("If", ["flat"], ["z"], then_branch=branch("Relu"), else_branch=branch("Neg")),
        node("Exp", ["z"], ["y"]),
    ]
    path = write(tmp_path / "m.onnx", nodes, {"x": ["n", 4]}, ["y"], {"two": np.array(2)})
    check_equal(path, (4,))


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize(("kind", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_recurrent_layers(kind, gates, direction, tmp_path):
    count, hidden = 1 + (direction == "bidirectional"), 3
    options = {"linear_before_reset": 1} if kind == "GRU" else {}
    nodes = [
        node("Transpose", ["x"], ["steps"], perm=[1, 0, 2]),
        node(
            kind, ["steps", "w", "r", "b"], ["all"], hidden_size=3, direction=direction, **options
        ),
        node("Transpose", ["all"], ["y"], perm=[2, 0, 1, 3]),
    ]
    constants = {
        "w": some(count, gates * hidden, 5),
        "r": some(count, gates * hidden, hidden),
        "b": some(count, 2 * gates * hidden),
    }
    path = write(tmp_path / "m.onnx", nodes, {"x": ["n", 4, 5]}, ["y"], constants)
    check_equal(path, (4, 5))


def test_channels_last_come_first_and_nothing_is_computed_for_it(tmp_path):
    nodes = [
        node("Sub", ["x", "mean"], ["a"]),
        node("Mul", ["a", "scale"], ["b"]),
        node("Transpose", ["b"], ["c"], perm=[0, 3, 1, 2]),
        node("Conv", ["c", "w"], ["y"]),
    ]
    constants = {"mean": some(3), "scale": np.float32(2), "w": some(4, 3, 3, 3)}
    path = write(tmp_path / "m.onnx", nodes, {"x": ["n", 6, 5, 3]}, ["y"], constants)
    module, x = from_onnx(path), torch.from_numpy(some(2, 3, 6, 5))
    (given,) = module.example_input_array
    assert given.shape == (1, 3, 6, 5)
    wanted = torch.conv2d(
        (x - torch.from_numpy(constants["mean"]).reshape(3, 1, 1)) * 2,
        torch.from_numpy(constants["w"]),
    )
    torch.testing.assert_close(module(x), wanted)
    kinds = [each.node.kind for each in module.children()]
    assert kinds == ["Sub", "Mul", "Identity", "Conv"]


def test_vectors_are_padded_by_copies_as_sequences_of_one_channel(tmp_path):
    nodes = [
        node("Pad", ["x", "pads"], ["a"], mode="reflect"),
        node("Unsqueeze", ["a", "one"], ["b"]),
        node("Conv", ["b", "w"], ["y"]),
    ]
    constants = {"pads": ints(0, 2, 0, 1), "one": ints(1), "w": some(2, 1, 3)}
    path = write(tmp_path / "m.onnx", nodes, {"x": ["n", 8]}, ["y"], constants)
    check_equal(path, (8,))
    module, images = from_onnx(path), torch.from_numpy(some(3, 8))
    with torch.no_grad():
        assert module(images).shape == (3, 2, 9)
    assert capture(module, images).outputs


@pytest.mark.parametrize("opset", range(11, 23))
def test_one_network_in_each_opset(opset, tmp_path):
    axes_of_sums = opset >= 13
    nodes = [
        node("Pad", ["x", "pads"], ["a"]),
        node("Conv", ["a", "w", "b"], ["c"]),
        node("BatchNormalization", ["c", "gamma", "beta", "mean", "var"], ["d"]),
        node("Clip", ["d", "low", "high"], ["e"]),
        node("MaxPool", ["e"], ["f"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Resize", ["f", "" if opset >= 13 else "region", "scales"], ["g"], mode="nearest"),
        node("ReduceSum", ["g", "last"], ["h"], keepdims=0)
        if axes_of_sums
        else node("ReduceSum", ["g"], ["h"], keepdims=0, axes=[3]),
        node("Squeeze", ["i0", "first"], ["j"])
        if axes_of_sums
        else node("Squeeze", ["i0"], ["j"], axes=[1]),
        node("Split", ["j", "parts"], ["k", "l"], axis=1)
        if axes_of_sums
        else node("Split", ["j"], ["k", "l"], axis=1, split=[1, 3]),
        node("Concat", ["l", "k"], ["m"], axis=1),
        node("Flatten", ["m"], ["n"]),
        node("Gemm", ["n", "v"], ["o"]),
        node("Softmax", ["o"], ["y"], axis=1),
    ]
    more = node("Unsqueeze", ["h", "first"], ["i0"])
    nodes.insert(7, more if axes_of_sums else node("Unsqueeze", ["h"], ["i0"], axes=[1]))
    constants = {
        "pads": ints(0, 0, 1, 1, 0, 0, 1, 1),
        "w": some(4, 3, 3, 3),
        "b": some(4),
        **{name: some(4) for name in ("gamma", "beta", "mean")},
        "var": some(4) + 2,
        "low": np.float32(0),
        "high": np.float32(6),
        "scales": np.float32([1, 1, 2, 2]),
        "region": np.float32([]),
        "last": ints(3),
        "first": ints(1),
        "parts": ints(1, 3),
        "v": some(16, 5),
    }
    constants = {
        name: value for name, value in constants.items() if any(name in n.input for n in nodes)
    }
    path = write(tmp_path / "m.onnx", nodes, {"x": ["n", 3, 4, 4]}, ["y"], constants, opset)
    check_equal(path, (3, 4, 4))
