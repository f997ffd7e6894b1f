"""Hostile ONNX files: what a node, a tensor or a type says is changed, and the file stays a file.

Most changes are of the message itself and not of its bytes, which protobuf would refuse at once.
"""

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from qnn.bench.fuzz.mutate import mutated_bytes
from qnn.interchange.packages import package

OPSET = 17
DEEP = 31  # branches inside of each other, as many as protobuf reads
FOLDER, NETWORK, WEIGHTS = "onnx", "network.onnx", "weights.bin"
SIZES = (0, -1, 1, 2, 3, 7, 64, 1 << 16, 1 << 20, 1 << 29, 1 << 31, 1 << 40, -(2**63))
NUMBERS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-38, 3e38, float("inf"), float("-inf"), float("nan"))
TEXTS = ("", "x", "y", "a", "\0", "../secret", "/etc/passwd", "/dev/zero", "NOTSET", "é" * 99)
DATA = (b"", b"\0" * 4, b"\xff" * 64, b"SAME_UPPER", b"linear", b"\x80", b"\0" * (1 << 16))
OPERATORS = (
    *("If", "Loop", "Scan", "Identity", "Cast", "Shape", "Reshape", "Expand", "Tile", "Resize"),
    *("ConstantOfShape", "Range", "Pad", "Slice", "Gather", "ScatterND", "OneHot", "TopK", "LSTM"),
    *("NonZero", "Einsum", "ConvTranspose", "MaxPool", "QuantizeLinear", "DequantizeLinear"),
    *("QLinearConv", "Constant", "Split", "Concat", "MatMul", "Softmax", "BatchNormalization"),
)


def make_onnx(folder: Path) -> None:
    """Write a folder with a network: convolution, branch, computed sizes, quantizers, a matrix."""
    onnx = package("onnx")
    made, tensor = onnx.helper.make_node, onnx.numpy_helper.from_array
    rng = np.random.default_rng(0)

    def some(*shape):
        return rng.uniform(-1, 1, shape).astype(np.float32)

    branches = {
        f"{name}_branch": onnx.helper.make_graph(
            [made(kind, ["c"], [f"{name}_y"])],
            name,
            [],
            [onnx.helper.make_tensor_value_info(f"{name}_y", onnx.TensorProto.FLOAT, None)],
        )
        for name, kind in (("then", "Relu"), ("else", "Tanh"))
    }
    nodes = [
        made("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1], strides=[1, 1], name="first"),
        made("If", ["yes"], ["r"], **branches),
        made("QuantizeLinear", ["r", "scale", "zero"], ["q"]),
        made("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
        made("MaxPool", ["d"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        made("Resize", ["p", "", "scales"], ["e"], mode="nearest"),
        made("Shape", ["e"], ["s"]),
        made("Gather", ["s", "first"], ["n"]),
        made("Concat", ["n", "rest"], ["sizes"], axis=0),
        made("Reshape", ["e", "sizes"], ["f"]),
        made("Gemm", ["f", "v", "u"], ["y"], transB=1),
    ]
    constants = {
        **{"w": some(2, 1, 3, 3), "b": some(2), "v": some(3, 32), "u": some(3)},
        **{"scale": np.float32(0.02), "zero": np.uint8(3), "yes": np.array(True)},
        **{"scales": np.float32([1, 1, 2, 2]), "first": np.array([0]), "rest": np.array([32])},
    }
    kind = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        nodes,
        "fuzz",
        [onnx.helper.make_tensor_value_info("x", kind, ["n", 1, 4, 4])],
        [onnx.helper.make_tensor_value_info("y", kind, ["n", 3])],
        [tensor(value, name) for name, value in constants.items()],
    )
    imports = [onnx.helper.make_opsetid("", OPSET)]
    model = onnx.helper.make_model(graph, opset_imports=imports, ir_version=8)
    weight = next(each for each in model.graph.initializer if each.name == "v")
    folder.mkdir()
    (folder / WEIGHTS).write_bytes(weight.raw_data)
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", WEIGHTS), ("offset", "0"), ("length", str(3 * 32 * 4))):
        weight.external_data.add(key=key, value=value)
    (folder / NETWORK).write_bytes(model.SerializeToString())


def altered_onnx(rng: Random, corpus: Path, place: Path) -> Path:
    """The folder of the network and its weights, of which either is another."""
    folder = Path(shutil.copytree(corpus / FOLDER, place / FOLDER))
    if rng.random() < 0.1:
        _beside(rng, folder)
    network = folder / NETWORK
    network.write_bytes(altered_model(rng, network.read_bytes()))
    return folder


def altered_model(rng: Random, data: bytes) -> bytes:
    """The file of a model, changed."""
    # Bytes of numbers and lengths alike: most of these protobuf refuses, and some it takes.
    return mutated_bytes(rng, data) if rng.random() < 0.2 else _altered(rng, data)


def _beside(rng, place):
    """Weights beside the file that are not there, cut off, elsewhere, or have no end."""
    weights = place / WEIGHTS
    match rng.randrange(4):
        case 0:
            weights.unlink()
        case 1:
            weights.write_bytes(weights.read_bytes()[:-5])
        case 2:
            weights.unlink()
            weights.symlink_to("/dev/zero")
        case 3:
            # A terabyte that takes no place on the disk.
            with weights.open("r+b") as file:
                file.truncate(1 << 40)


def _altered(rng, data):
    model = package("onnx").ModelProto.FromString(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        # What an earlier change has left out has nothing to be changed.
        with suppress(IndexError):
            rng.choice(_CHANGES)(rng, model)
    try:
        return model.SerializeToString()
    # Of texts that are none, and of what is nested too deep.
    except Exception:  # any: protobuf's own kinds differ by its release
        return data[: rng.randrange(len(data))]


def _messages(message):
    """The message and every one in it."""
    found, waiting = [], [message]
    while waiting:
        one = waiting.pop()
        found.append(one)
        for field, value in one.ListFields():
            if field.message_type is not None:
                waiting += list(value) if field.is_repeated else [value]
    return found


def _any_field(rng, model):
    """Another value of the right kind in any field of any message."""
    one = rng.choice(_messages(model))
    fields = [(field, value) for field, value in one.ListFields() if field.message_type is None]
    if not fields:
        return
    field, value = rng.choice(fields)
    # Kinds and versions have fewer bits than sizes, and some only the numbers that have names.
    with suppress(ValueError):
        if not field.is_repeated:
            setattr(one, field.name, _other(rng, value))
        elif rng.random() < 0.3:
            value.append(_other(rng, value[0]))
        else:
            value[rng.randrange(len(value))] = _other(rng, value[0])


def _other(rng, value) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, bytes):
        return rng.choice(DATA)
    if isinstance(value, str):
        return rng.choice(TEXTS)
    if isinstance(value, float):
        return rng.choice(NUMBERS)
    near = value + rng.choice((-1, 1, 2, value))
    return near if rng.random() < 0.5 else rng.choice(SIZES)


def _drop(rng, model):
    """Leave a field out, or one of its values."""
    one = rng.choice(_messages(model))
    fields = [field for field, _ in one.ListFields()]
    if not fields:
        return
    field = rng.choice(fields)
    values = getattr(one, field.name)
    if field.is_repeated and rng.random() < 0.7:
        del values[rng.randrange(len(values))]
    else:
        one.ClearField(field.name)


def _repeat(rng, model):
    """A node, an input, a constant or an attribute twice."""
    graph = model.graph
    held = rng.choice((graph.node, graph.input, graph.output, graph.initializer))
    if held:
        held.add().CopyFrom(rng.choice(held))


def _rename(rng, model):
    """One value's name in place of another's: a cycle, or one that stands twice."""
    node = rng.choice(model.graph.node)
    names = [name for each in model.graph.node for name in (*each.input, *each.output)]
    held = rng.choice((node.input, node.output))
    if held:
        held[rng.randrange(len(held))] = rng.choice(names)


def _operator(rng, model):
    """Another operator in a node's place."""
    if model.graph.node:
        rng.choice(model.graph.node).op_type = rng.choice(OPERATORS)


def _shape(rng, model):
    """A size of an input, an output or a constant."""
    graph = model.graph
    if rng.random() < 0.5:
        rng.choice(graph.initializer).dims[:] = [rng.choice(SIZES) for _ in range(rng.randrange(5))]
        return
    sizes = rng.choice((graph.input, graph.output))[0].type.tensor_type.shape.dim
    if sizes:
        rng.choice(sizes).dim_value = rng.choice(SIZES)


def _numbers(rng, model):
    """Other numbers in a constant, as many as there were."""
    one = rng.choice(model.graph.initializer)
    if not one.raw_data:
        return
    kind = np.int64 if len(one.raw_data) % 8 == 0 and one.data_type == 7 else np.float32
    count = len(one.raw_data) // np.dtype(kind).itemsize
    values = SIZES if kind is np.int64 else NUMBERS
    one.raw_data = np.array([rng.choice(values) for _ in range(count)], kind).tobytes()


def _kind(rng, model):
    """Another type of a tensor's values."""
    graph = model.graph
    kind = rng.randrange(24)
    if rng.random() < 0.5:
        rng.choice(graph.initializer).data_type = kind
    else:
        rng.choice((graph.input, graph.output))[0].type.tensor_type.elem_type = kind


def _nested(rng, model):
    """Branches inside of branches."""
    onnx = package("onnx")
    plain = next((each for each in model.graph.node if each.op_type == "If"), None)
    # Once is deep enough.
    if plain is None or any(one.op_type == "If" for each in plain.attribute for one in each.g.node):
        return
    text = plain.SerializeToString()
    inner = onnx.NodeProto.FromString(text)
    for number in range(rng.choice((3, 20, DEEP))):
        outer = onnx.NodeProto.FromString(text)
        # In one of two branches, as twice as many each time would be no small file.
        graph = outer.attribute[0].g if outer.attribute else onnx.GraphProto()
        graph.node.add().CopyFrom(inner)
        graph.node[-1].output[:] = [f"nested{number}"]
        inner = outer
    model.graph.node.insert(1, inner)


def _elsewhere(rng, model):
    """Weights in another place or of another size."""
    entries = [each for one in model.graph.initializer for each in one.external_data]
    if entries:
        entry = rng.choice(entries)
        texts = (*TEXTS, "-1", "9" * 30, "1e3", "0x10", str(1 << 40), "x/../y", ".", WEIGHTS)
        entry.value = rng.choice(texts)


_CHANGES: tuple[Callable[[Random, Any], None], ...] = (
    *(_any_field, _any_field, _any_field, _drop, _repeat, _rename, _operator),
    *(_shape, _numbers, _kind, _nested, _elsewhere),
)
