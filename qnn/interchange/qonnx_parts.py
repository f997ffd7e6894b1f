"""The part of a QONNX file that one operator stands for, as a model that qonnx executes."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from qnn.errors import ModelError
from qnn.interchange.packages import package
from qnn.interchange.qonnx_quantizers import exact_reals
from qnn.interchange.run_qonnx import executable, run_qonnx
from qnn.ir.ops import Operator
from qnn.ir.shape import from_blocks

if TYPE_CHECKING:
    from onnx import ModelProto


class QonnxParts:
    """A file, cut into what lies between the tensors of an integer graph.

    Parameters
    ----------
    tensors : the file's tensor that each operator of the graph stands for, by name

    Raises
    ------
    ToolError
        qonnx is not installed, or finds no shapes.
    """

    def __init__(self, model: "ModelProto", tensors: Mapping[str, str]):
        self.tensors = tensors
        self._model = executable(model).model
        graph = self._model.graph
        self._constants = {each.name: each for each in graph.initializer}
        known = (*graph.input, *graph.output, *graph.value_info)
        self._known = {each.name: each for each in known}
        self._makers = {name: number for number, n in enumerate(graph.node) for name in n.output}

    def run(
        self, node: Operator, operands: Iterable[Operator], codes: Iterable[np.ndarray]
    ) -> np.ndarray:
        """What qonnx gives for an operator, in steps of its type; reals, which need not be whole.

        Parameters
        ----------
        codes : of each operand blocks, (images, channels, height, width); of an input also reals

        Returns
        -------
        (images, channels, height, width) float64
        """
        given = {}
        for operand, blocks in zip(operands, codes, strict=True):
            reals = exact_reals(blocks, operand.type.exponent)
            # What a user gives has the user's axes.
            given |= (
                {self.tensors[operand.name]: reals}
                if operand.inputs
                else {operand.name: from_blocks(reals, operand.axes)}
            )
        tensor = self.tensors[node.name]
        model, images = self._cut(tensor, given), len(next(iter(given.values())))
        parts = []
        for image in range(images):
            fed = {name: each[image].reshape(self._shape(name)) for name, each in given.items()}
            parts.append(run_qonnx(model, fed)[tensor])
        reals = np.stack(parts).astype(np.float64)
        return np.ldexp(reals, node.type.exponent).reshape(images, *node.shape)

    def _shape(self, name):
        return [each.dim_value for each in self._known[name].type.tensor_type.shape.dim]

    def _cut(self, tensor, given):
        """The nodes between ``given`` tensors and ``tensor``, as a model of qonnx."""
        nodes, names, waiting = set(), set(), [tensor]
        while waiting:
            name = waiting.pop()
            if name in names or not name:
                continue
            names.add(name)
            if name in given or name in self._constants:
                continue
            if name not in self._makers:
                raise ModelError(
                    f"tensor '{tensor}' needs to follow from what its operator reads, but '{name}' "
                    f"is none of it; report the file"
                )
            nodes.add(self._makers[name])
            waiting += self._model.graph.node[self._makers[name]].input
        helper, every = package("onnx.helper"), self._model.graph.node
        graph = helper.make_graph(
            [every[number] for number in sorted(nodes)],
            "part",
            [self._known[name] for name in given],
            [self._known[tensor]],
            [self._constants[name] for name in sorted(names) if name in self._constants],
            value_info=[
                self._known[name]
                for name in sorted(names)
                if name in self._makers and name not in given and name != tensor
            ],
        )
        opsets = self._model.opset_import
        return helper.make_model(graph, opset_imports=opsets, ir_version=self._model.ir_version)
