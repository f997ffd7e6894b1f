"""Small QONNX networks as other tools write them, and what qonnx's own executor gives of them."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

import qnn
from qnn.ir.codes import Codes
from qnn.ir.reference import reference

DOMAIN = "qonnx.custom_op.general"


@dataclass
class QonnxFile:
    """Nodes and constants of a network from ``x`` to ``y``, added one by one."""

    shape: tuple[int, ...]
    nodes: list = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)

    def constant(self, values) -> str:
        """A constant's name."""
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(values, np.float32)
        return name

    def add(self, op: str, *inputs, out: str | None = None, domain: str = "", **attributes) -> str:
        """The name of a node's result; arrays among the inputs become constants."""
        out = out or f"t{len(self.nodes)}"
        names = [each if isinstance(each, str) else self.constant(each) for each in inputs]
        node = helper.make_node(op, names, [out], name=f"{op}_{out}", domain=domain, **attributes)
        self.nodes.append(node)
        return out

    def quant(self, x, scale, bits, *, signed=1, narrow=0, rounding="ROUND", zero=0, **options):
        """The name of what an IntQuant gives."""
        op, domain = options.pop("op", "IntQuant"), options.pop("domain", DOMAIN)
        given = {"signed": signed, "narrow": narrow, "rounding_mode": rounding} | options
        return self.add(op, x, scale, zero, bits, domain=domain, **given)

    def wrapper(self, y: str, shape: tuple[int, ...]) -> ModelWrapper:
        """The whole model, which gives ``y``."""
        value = helper.make_tensor_value_info
        constants = [numpy_helper.from_array(a, name) for name, a in self.constants.items()]
        graph = helper.make_graph(
            self.nodes,
            "net",
            [value("x", TensorProto.FLOAT, self.shape)],
            [value(y, TensorProto.FLOAT, shape)],
            constants,
        )
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid(DOMAIN, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        return ModelWrapper(model).transform(InferShapes())


def written(wrapper: ModelWrapper, folder: Path) -> Path:
    """The model as a file."""
    path = folder / "foreign.onnx"
    path.write_bytes(wrapper.model.SerializeToString())
    return path


def executed(wrapper: ModelWrapper, x: np.ndarray) -> np.ndarray:
    """What qonnx gives of each image of ``x``, reals."""
    name = wrapper.graph.output[0].name
    shape = wrapper.get_tensor_shape("x")
    images = [
        execute_onnx(wrapper, {"x": image.reshape(shape)})[name] for image in x.astype(np.float32)
    ]
    return np.concatenate(images)


def check_integers(wrapper: ModelWrapper, folder: Path) -> None:
    """What is read of the file gives, of random codes, the integers that qonnx gives."""
    graph = qnn.from_qonnx(written(wrapper, folder))
    (node,) = graph.inputs
    codes = np.random.default_rng(1).integers(node.type.low, node.type.high + 1, (3, *node.shape))
    found = reference(graph, Codes(codes), outputs_only=True)[graph.outputs[0].name]
    reals = executed(wrapper, codes * node.type.scale)
    type = graph[graph.outputs[0].name].type
    np.testing.assert_array_equal(found.reshape(reals.shape) * type.scale, reals)
    assert len(np.unique(found)) > 3
