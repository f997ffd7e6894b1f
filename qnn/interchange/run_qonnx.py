"""Runs a QONNX model in qonnx's own executor."""

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from qnn.errors import ToolError, first_line
from qnn.interchange.file_rules import QUANTIZERS
from qnn.interchange.packages import package

if TYPE_CHECKING:
    from onnx import ModelProto

DOMAIN = "qonnx.custom_op.general"


def run_qonnx(wrapper: object, reals: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every output of a model by name, of one image.

    Parameters
    ----------
    wrapper : a ``ModelWrapper`` whose tensors have shapes
    reals : what the model takes, by name

    Raises
    ------
    ToolError
        qonnx is not installed, or fails.
    """
    execute = package("qonnx.core.onnx_exec").execute_onnx
    given = {name: np.asarray(each, np.float32) for name, each in reals.items()}
    try:
        # Of shapes that were not known before: it goes on with those that it finds.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return execute(wrapper, given)
    except Exception as error:  # whatever its executor and its operators raise
        raise ToolError(f"qonnx cannot run the model: {first_line(error)}") from None


def with_shapes(wrapper: object) -> object:
    """The model with the shape of every tensor, which the executor needs.

    Raises
    ------
    ToolError
        qonnx is not installed, or finds no shapes.
    """
    infer = package("qonnx.transformation.infer_shapes").InferShapes
    try:
        return wrapper.transform(infer())
    except Exception as error:  # any: of qonnx, of its operators or of onnx
        raise ToolError(f"qonnx finds no shapes in the model: {first_line(error)}") from None


def _free(graph, images):
    """Leave the number of images to what is reshaped, where a shape has that of the file."""
    if images < 2:
        return
    helper = package("onnx.numpy_helper")
    constants = {each.name: each for each in graph.initializer}
    constants |= {
        node.output[0]: node.attribute[0].t
        for node in graph.node
        if node.op_type == "Constant" and len(node.attribute) == 1
    }
    for number, node in enumerate(graph.node):
        shape = constants.get(node.input[1]) if node.op_type == "Reshape" else None
        sizes = None if shape is None else helper.to_array(shape)
        if sizes is None or sizes.ndim != 1 or sizes[:1].tolist() != [images]:
            continue
        # Another constant, as whoever else reads this one may mean the number.
        freed = np.concatenate([np.ones(1, sizes.dtype), sizes[1:]])
        node.input[1] = f"shape of one image {number}"
        graph.initializer.append(helper.from_array(freed, node.input[1]))


def executable(model: "ModelProto") -> "ModelProto":
    """The model as qonnx executes it: of one image, with shapes, and domains of its own alone.

    Raises
    ------
    ToolError
        qonnx is not installed, or finds no shapes.
    """
    own = type(model)()
    own.CopyFrom(model)
    constants = {each.name for each in own.graph.initializer}
    given = [each for each in own.graph.input if each.name not in constants]
    # Of annotations qonnx would round values to types that tools guess of.
    del own.graph.input[:], own.graph.value_info[:], own.graph.quantization_annotation[:]
    own.graph.input.extend(given)
    # Of two of one name, which is one tensor that is given twice, qonnx would tell neither.
    outputs = list({each.name: each for each in model.graph.output}.values())
    del own.graph.output[:]
    own.graph.output.extend(outputs)
    # Read anew: the list has copies of what was put into it.
    for each in own.graph.input:
        first = each.type.tensor_type.shape.dim[0]
        _free(own.graph, first.dim_value)
        first.dim_value = 1
    for each in own.graph.output:
        each.type.tensor_type.ClearField("shape")
    for node in own.graph.node:
        # A domain is a module that qonnx would load: a file must not name another one.
        node.domain = DOMAIN if node.op_type in QUANTIZERS else ""
    standard = [each for each in own.opset_import if each.domain in ("", "ai.onnx")]
    del own.opset_import[:]
    own.opset_import.extend(standard)
    own.opset_import.append(package("onnx.helper").make_opsetid(DOMAIN, 1))
    return with_shapes(package("qonnx.core.modelwrapper").ModelWrapper(own)).model
