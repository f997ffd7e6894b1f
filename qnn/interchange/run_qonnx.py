"""Runs a QONNX model in qonnx's own executor, piece by piece.

qonnx looks for each name in lists of all nodes and all tensors: what it takes grows with the square
of their number. Of pieces of a few nodes it grows with the number alone.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from qnn.errors import ToolError, first_line
from qnn.interchange.file_rules import QUANTIZERS
from qnn.interchange.packages import package

if TYPE_CHECKING:
    from onnx import ModelProto

DOMAIN = "qonnx.custom_op.general"
PIECE_NODES = 32


@dataclass(frozen=True)
class QonnxPieces:
    """A model that qonnx can execute.

    Members
    -------
    model : the whole, with the shape of every tensor
    pieces : its nodes in order, each a ``ModelWrapper`` that gives what later ones read
    """

    model: "ModelProto"
    pieces: Sequence[Any]

    @classmethod
    def of(cls, model: "ModelProto") -> "QonnxPieces":
        """``model``, whose nodes are in order, in pieces.

        Raises
        ------
        ToolError
            qonnx is not installed, or finds no shapes.
        """
        graph = model.graph
        known = {each.name: each for each in (*graph.input, *graph.value_info)}
        pieces = []
        for piece, names in _cut(model, known):
            wrapper = _with_shapes(piece)
            pieces.append(wrapper)
            known |= {each.name: each for each in wrapper.graph.value_info}
            _give(wrapper.graph, names)
        own, constants = type(model)(), {each.name for each in graph.initializer}
        own.CopyFrom(model)
        for each in own.graph.output:
            each.CopyFrom(known.get(each.name, each))
        outside = constants.union(each.name for each in (*graph.input, *graph.output))
        del own.graph.value_info[:]
        own.graph.value_info.extend(known[name] for name in known if name not in outside)
        return cls(own, pieces)

    def run(self, reals: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Every output of the model by name, of one image.

        Parameters
        ----------
        reals : what the model takes, by name

        Raises
        ------
        ToolError
            qonnx is not installed, or fails.
        """
        to_array = package("onnx.numpy_helper").to_array
        values = {name: np.asarray(each, np.float32) for name, each in reals.items()}
        for piece in self.pieces:
            values |= _execute(piece, {each.name: values[each.name] for each in piece.graph.input})
        names = {each.name for each in self.model.graph.output}
        values |= {e.name: to_array(e) for e in self.model.graph.initializer if e.name in names}
        values |= {
            node.output[0]: to_array(node.attribute[0].t)
            for node in self.model.graph.node
            if node.op_type == "Constant" and node.output[0] in names
        }
        return {name: values[name] for name in names}


def run_qonnx(model: "ModelProto", reals: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every output by name, of one image, of a small model whose tensors have shapes.

    Raises
    ------
    ToolError
        qonnx is not installed, or fails.
    """
    wrapper = package("qonnx.core.modelwrapper").ModelWrapper(model)
    return _execute(wrapper, {name: np.asarray(each, np.float32) for name, each in reals.items()})


def _execute(wrapper, given):
    execute = package("qonnx.core.onnx_exec").execute_onnx
    try:
        # Of shapes that were not known before: it goes on with those that it finds.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return execute(wrapper, given)
    except Exception as error:  # whatever its executor and its operators raise
        raise ToolError(f"qonnx cannot run the model: {first_line(error)}") from None


def _with_shapes(model):
    infer = package("qonnx.transformation.infer_shapes").InferShapes
    wrapper = package("qonnx.core.modelwrapper").ModelWrapper
    try:
        # Nothing cleaned up, which gives what several nodes read random names.
        return wrapper(model).transform(infer(), make_deepcopy=False, cleanup=False)
    except Exception as error:  # any: of qonnx, of its operators or of onnx
        raise ToolError(f"qonnx finds no shapes in the model: {first_line(error)}") from None


def _give(graph, names):
    """Let a piece give tensors whose shapes are known by now."""
    graph.output.extend(each for each in graph.value_info if each.name in names)
    inside = [each for each in graph.value_info if each.name not in names]
    del graph.value_info[:]
    graph.value_info.extend(inside)


def _cut(model, known) -> Iterator[tuple["ModelProto", set[str]]]:
    """The pieces of a model, and what later ones read of each.

    ``known`` has to have what those before made when one is asked for.
    """
    helper, graph = package("onnx.helper"), model.graph
    constants = {each.name: each for each in graph.initializer}
    # As shapes follow from their values, each piece has those that it reads.
    made_of_none = {n.output[0]: n for n in graph.node if n.op_type == "Constant"}
    nodes = [node for node in graph.node if node.op_type != "Constant"]
    parts = [nodes[n : n + PIECE_NODES] for n in range(0, len(nodes), PIECE_NODES)]
    wanted, outputs = {each.name for each in graph.output}, []
    for part in reversed(parts):
        outputs.append({name for node in part for name in node.output if name in wanted})
        wanted.update(_read(part))
    for part, given_on in zip(parts, reversed(outputs), strict=True):
        made = dict.fromkeys(name for node in part for name in node.output)
        read = [name for name in dict.fromkeys(_read(part)) if name and name not in made]
        piece = helper.make_graph(
            [*(made_of_none[name] for name in read if name in made_of_none), *part],
            "piece",
            [known[n] for n in read if n in known and n not in constants],
            [],
            [constants[name] for name in read if name in constants],
            value_info=[known[name] for name in made if name in known],
        )
        opsets = model.opset_import
        yield helper.make_model(piece, opset_imports=opsets, ir_version=model.ir_version), given_on


def _read(nodes) -> Iterator[str]:
    """The names that nodes read, also those of the branches that they have."""
    for node in nodes:
        yield from node.input
        for each in node.attribute:
            yield from _read(each.g.node)


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


def executable(model: "ModelProto") -> QonnxPieces:
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
    return QonnxPieces.of(own)
