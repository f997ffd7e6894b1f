"""Files that are cut short, cyclic, huge or made to mislead end in one line."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from qnn.errors import QnnError
from qnn.frontend.onnx.read import from_onnx
from tests.frontend.onnx.files import check_equal, helper, write

node = helper.make_node


def some(*shape):
    return np.random.default_rng(3).uniform(-1, 1, shape).astype(np.float32)


def small(path: Path) -> Path:
    nodes = [
        node("Conv", ["x", "w", "b"], ["a"], pads=[1, 1, 1, 1], name="first"),
        node("Relu", ["a"], ["r"]),
        node("Shape", ["r"], ["s"]),
        node("Gather", ["s", "zero"], ["n"]),
        node("Concat", ["n", "rest"], ["sizes"], axis=0),
        node("Reshape", ["r", "sizes"], ["f"]),
        node("Gemm", ["f", "v"], ["y"]),
    ]
    constants = {
        **{"w": some(2, 1, 3, 3), "b": some(2), "v": some(32, 3)},
        **{"zero": np.array([0]), "rest": np.array([32])},
    }
    return write(path, nodes, {"x": ["n", 1, 4, 4]}, ["y"], constants)


def edited(path: Path, change) -> Path:
    model = onnx.load(small(path))
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


def told(path: Path) -> str:
    with pytest.raises(QnnError) as error:
        from_onnx(path)
    text = str(error.value)
    assert "\n" not in text
    return text.replace(str(path.parent), "FOLDER")


def test_a_file_that_is_missing(tmp_path):
    assert told(tmp_path / "m.onnx") == (
        "FOLDER/m.onnx: cannot be read ('No such file or directory'); correct the path"
    )


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x80\x04N.", b"\x08\x08"])
def test_a_file_that_is_none(data, tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(data)
    assert told(path) == (
        "FOLDER/m.onnx: not an ONNX model, or cut short; export it again, or copy all of it"
    )


def test_versions_that_are_not_known(tmp_path):
    def old(model):
        model.opset_import[0].version = 6

    assert told(edited(tmp_path / "m.onnx", old)) == (
        "FOLDER/m.onnx: an ONNX model needs opset 7 to 25, not 6; export it again with opset 17"
    )


def test_functions_of_a_files_own(tmp_path):
    def more(model):
        model.functions.add(name="Mine", domain="mine")

    assert told(edited(tmp_path / "m.onnx", more)) == (
        "FOLDER/m.onnx: an ONNX model needs operators alone, but has functions of its own, as "
        "'Mine'; inline them with onnx.inliner.inline_local_functions"
    )


def test_a_cycle(tmp_path):
    def cyclic(model):
        model.graph.node[0].input[0] = "r"

    assert told(edited(tmp_path / "m.onnx", cyclic)) == (
        "FOLDER/m.onnx: node 'first' needs 'r' before it, but it is computed behind it or nowhere; "
        "sort the nodes, and export all of them"
    )


def test_one_name_for_two_values(tmp_path):
    def twice(model):
        model.graph.node[1].output[0] = "a"

    assert told(edited(tmp_path / "m.onnx", twice)) == (
        "FOLDER/m.onnx: node 'Relu_a' needs names of its own for what it computes, but 'a' is "
        "another's; export the model again"
    )


def test_results_without_a_name(tmp_path):
    def nameless(model):
        model.graph.node[0].output.append("")
        model.graph.node[0].op_type = "Split"
        del model.graph.node[0].input[1:], model.graph.node[0].attribute[:]

    assert told(edited(tmp_path / "m.onnx", nameless)) == (
        "FOLDER/m.onnx: node 'first' needs names for all that Split gives, but leaves out result "
        "1; export the model again"
    )


def test_two_constants_of_one_name(tmp_path):
    def again(model):
        model.graph.initializer.add().CopyFrom(model.graph.initializer[0])

    # The same constant twice is one.
    from_onnx(edited(tmp_path / "m.onnx", again))

    def other(model):
        again(model)
        model.graph.initializer[-1].raw_data = bytes(len(model.graph.initializer[0].raw_data))

    assert told(edited(tmp_path / "m.onnx", other)) == (
        "FOLDER/m.onnx: constant 'w' needs a name of its own, but another has it; export the model "
        "again"
    )


def test_attributes_that_an_operator_does_not_have(tmp_path):
    def other(model):
        model.graph.node[0].attribute.add(name="colour", type=2, i=1)

    assert told(edited(tmp_path / "m.onnx", other)) == (
        "FOLDER/m.onnx: node 'first' needs the inputs and attributes that Conv of opset 17 has, "
        "but has others; export the model again"
    )


def test_an_operator_that_the_opset_does_not_have(tmp_path):
    # As tf2onnx writes of TensorFlow's GELU.
    def other(model):
        model.graph.node[0].op_type = "Erfc"

    assert told(edited(tmp_path / "m.onnx", other)) == (
        "FOLDER/m.onnx: node 'first' needs an operator of ONNX's opset 17, but 'Erfc' is none; "
        "export the model for a newer opset, or without it"
    )


def test_names_that_are_no_text(tmp_path):
    path = small(tmp_path / "m.onnx")
    path.write_bytes(path.read_bytes().replace(b"first", b"fi\xff\xfet"))
    assert told(path) == (
        "FOLDER/m.onnx: an ONNX model needs names that are text, and parts of the kinds that ONNX "
        "has, but has others; export it again, or copy all of it"
    )


def test_constants_of_another_size_than_they_say(tmp_path):
    def cut(model):
        model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:-4]

    assert told(edited(tmp_path / "m.onnx", cut)) == (
        "FOLDER/m.onnx: constant 'w' needs the values that its shape [2, 1, 3, 3] says, but has "
        "others; export the model again, or copy all of it"
    )

    def huge(model):
        model.graph.initializer[0].dims[:] = [1 << 40, 1 << 40]

    assert told(edited(tmp_path / "m.onnx", huge)) == (
        "FOLDER/m.onnx: constant 'w' needs at most 536,870,912 values, not [1099511627776, "
        "1099511627776]; export the model again"
    )


def test_outputs_that_nothing_computes(tmp_path):
    def none(model):
        model.graph.output[0].name = "other"

    assert told(edited(tmp_path / "m.onnx", none)) == (
        "FOLDER/m.onnx: an ONNX graph needs outputs that its nodes compute, but has none; export "
        "the model again"
    )


def test_what_is_not_supported_is_told_at_once(tmp_path):
    nodes = [
        node("Det", ["x"], ["a"], name="one"),
        node("Relu", ["a"], ["b"]),
        node("GridSample", ["b", "x"], ["c"], name="two"),
        node("Add", ["b", "c"], ["y"]),
    ]
    path = write(tmp_path / "m.onnx", nodes, {"x": ["n", 2, 2, 2]}, ["y"])
    with pytest.raises(QnnError) as error:
        from_onnx(path)
    assert str(error.value).splitlines() == [
        "model needs 2 changes:",
        "(1) layer 'one' (onnx.Det) is not supported; export the model without it, or let the "
        "network end before it",
        "(2) layer 'two' (onnx.GridSample) is not supported; export the model without it, or let "
        "the network end before it",
    ]


def test_an_attribute_with_the_name_of_a_branch_need_not_be_one(tmp_path):
    made = node("Bar", ["x"], ["y"], name="one", domain="foo", body="text", else_branch=3)
    path = write(tmp_path / "m.onnx", [made], {"x": ["n", 4]}, ["y"])
    assert told(path).startswith("layer 'one' (onnx.foo.Bar) is not supported")


def test_quantizers_of_qonnx_have_a_reader_of_their_own(tmp_path):
    names = ["x", "scale", "zero", "bits"]
    made = node("Quant", names, ["y"], name="q", domain="qonnx.custom_op.general")
    constants = {name: np.float32(1) for name in names[1:]}
    path = write(tmp_path / "m.onnx", [made], {"x": ["n", 4]}, ["y"], constants)
    assert told(path) == (
        "layer 'q' (onnx.qonnx.custom_op.general.Quant) is not supported; read the quantized "
        "network as it is, with 'qnn compile FILE' or qnn.from_qonnx, or quantize it anew with "
        "--requantize or requantize=True"
    )


def test_shapes_that_are_not_known_or_do_not_fit(tmp_path):
    path = write(
        tmp_path / "m.onnx", [node("Relu", ["x"], ["y"])], {"x": ["n", 3, "h", "w"]}, ["y"]
    )
    assert told(path) == (
        "input 'x' needs known sizes, but they are (3,free,free) without the batch; give "
        "--input-shape, as 3,224,224"
    )
    with pytest.raises(QnnError) as error:
        from_onnx(path, [(1, 4, 4)])
    assert str(error.value) == (
        "input 'x' has the sizes (3,free,free) without the batch, not (1,4,4); give a "
        "--input-shape that fits them"
    )
    with pytest.raises(QnnError) as error:
        from_onnx(path, [(3, 4, 4), (5,)])
    assert str(error.value) == (
        "model needs one shape for each of its inputs 'x', not 2; give --input-shape once for each"
    )


def test_inputs_that_have_other_numbers_of_images(tmp_path):
    nodes = [node("ReduceSum", ["state"], ["s"], keepdims=0), node("Add", ["x", "s"], ["y"])]
    path = write(tmp_path / "m.onnx", nodes, {"x": [1, 4], "state": [2, 4]}, ["y"])
    assert told(path) == (
        "inputs need as many images along their first axes, but have 'x' 1 and 'state' 2; export "
        "states with their images first, or give them as constants"
    )


def external(path: Path, location: str) -> Path:
    def move(model):
        tensor = model.graph.initializer[0]
        data = tensor.raw_data
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
        tensor.external_data.add(key="offset", value="8")
        if not (path.parent / "weights.bin").exists():
            (path.parent / "weights.bin").write_bytes(bytes(8) + data)

    return edited(path, move)


def test_weights_in_a_file_beside_it_are_read(tmp_path):
    check_equal(external(tmp_path / "m.onnx", "weights.bin"), (1, 4, 4))


@pytest.mark.parametrize(
    "location",
    ["/etc/passwd", "../weights.bin", "sub/../../x", "C:\\weights", "..\\w", "", "link", "a\0b"],
)
def test_weights_elsewhere_are_refused(location, tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "link").symlink_to("/etc/passwd")
    text = told(external(tmp_path / "inner" / "m.onnx", location))
    assert text == (
        f"FOLDER/m.onnx: constant 'w' needs a file in the model's folder, not '{location}'; save "
        f"the model with its weights beside it"
    )


def test_weights_that_are_missing(tmp_path):
    assert told(external(tmp_path / "m.onnx", "none.bin")) == (
        "FOLDER/m.onnx: constant 'w' needs the file 'none.bin' beside the model, but it cannot be "
        "read ('No such file or directory'); copy it there"
    )


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_bytes_are_read_or_refused_in_a_line(tmp_path, data):
    path = small(tmp_path / "m.onnx")
    whole = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 4), label="changes")):
        place = data.draw(st.integers(0, len(whole) - 1), label="place")
        whole[place] = data.draw(st.integers(0, 255), label="byte")
    path.write_bytes(bytes(whole[: data.draw(st.integers(1, len(whole)), label="length")]))
    # Whatever else is raised fails the test.
    with suppress(QnnError):
        from_onnx(path)


__all__ = ["small"]
