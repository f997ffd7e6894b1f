"""``OnnxWriter``: the nodes and constants of an ONNX model, while they are added one by one."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from qnn.errors import CompileError
from qnn.interchange.packages import package

if TYPE_CHECKING:
    from onnx import ModelProto

# Opset 17 has all that is needed, and onnxruntime has had it since 1.12, of 2022; version 8 of the
# file format belongs to it. Readers that know newer ones know these.
OPSET, IR_VERSION = 17, 8
MOST_BYTES = (1 << 31) - (1 << 20)  # protobuf has 2 GiB; a mebibyte is left for the nodes
BATCH = "N"  # the name of the free axis of images


@dataclass(frozen=True)
class Tensor:
    """A tensor of the model: its name, and the type of its numbers."""

    name: str
    dtype: np.dtype


@dataclass(eq=False)
class OnnxWriter:
    """What has been added so far; each tensor has a name of its own.

    Members
    -------
    scope : the operator that is written, which names of inner tensors begin with
    values : the tensor of each operator of the integer graph, by the operator's name
    """

    scope: str = ""
    values: dict[str, Tensor] = field(default_factory=dict)
    inputs: list = field(default_factory=list)
    outputs: list = field(default_factory=list)
    nodes: list = field(default_factory=list)
    constants: dict[tuple, Tensor] = field(default_factory=dict)
    _initializers: list = field(default_factory=list)
    _taken: set[str] = field(default_factory=set)
    _labels: set[str] = field(default_factory=set)

    def take(self, name: str) -> str:
        """A name for a tensor: ``name``, or with a number behind it where that is taken."""
        return _free(name, self._taken)

    def input(self, name: str, dtype: np.dtype, shape: Sequence[int | str]) -> Tensor:
        """An input of the model."""
        tensor = Tensor(self.take(name), np.dtype(dtype))
        self.inputs.append(_info(tensor, shape))
        return tensor

    def output(self, tensor: Tensor, shape: Sequence[int | str]) -> None:
        """Give ``tensor`` as an output of the model."""
        self.outputs.append(_info(tensor, shape))

    def constant(self, values: object, dtype: object = np.int64) -> Tensor:
        """A tensor of ``values``, which are kept once however often they are asked for."""
        array = np.asarray(values, dtype)
        # Most bounds, factors and shapes of a network are the same few numbers.
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self.constants:
            tensor = Tensor(self.take(f"{self.scope}/constant"), array.dtype)
            self._initializers.append((tensor.name, np.array(array, order="C")))
            self.constants[key] = tensor
        return self.constants[key]

    def add(
        self,
        op: str,
        *operands: Tensor,
        dtype: object = None,
        name: str | None = None,
        label: str | None = None,
        domain: str = "",
        **attributes: object,
    ) -> Tensor:
        """The result of a new node ``op``, whose numbers have the type of its first operand.

        Parameters
        ----------
        dtype : of the result, where it is another one
        name : of the result, where others know it
        label : name of the node, where it is not that of the result
        """
        made = self.take(f"{self.scope}/{op.lower()}") if name is None else name
        helper = package("onnx.helper")
        node = helper.make_node(
            op,
            [each.name for each in operands],
            [made],
            # Nodes have names of their own too, which onnxruntime wants to differ.
            name=_free(label or made, self._labels),
            domain=domain,
            **attributes,
        )
        self.nodes.append(node)
        return Tensor(made, operands[0].dtype if dtype is None else np.dtype(dtype))

    def cast(self, tensor: Tensor, dtype: object, name: str | None = None) -> Tensor:
        """``tensor`` with numbers of another type; itself where they have it and need no name."""
        if tensor.dtype == dtype and name is None:
            return tensor
        to = element_type(dtype)
        return self.add("Cast", tensor, dtype=dtype, name=name, to=to)

    def reshape(self, tensor: Tensor, shape: Sequence[int], label: str | None = None) -> Tensor:
        """``tensor`` in another shape, of which one size may be -1."""
        return self.add("Reshape", tensor, self.constant(shape), label=label)

    def sliced(
        self, tensor: Tensor, axes: Sequence[int], slices: Sequence[tuple[int, int, int]]
    ) -> Tensor:
        """The part of ``tensor`` from a start to before a stop in steps, along each of ``axes``."""
        starts, stops, steps = zip(*slices, strict=True)
        given = (self.constant(each) for each in (starts, stops, axes, steps))
        return self.add("Slice", tensor, *given)

    def model(
        self, doc: str, metadata: dict[str, str], domains: Sequence[str] = ()
    ) -> "ModelProto":
        """The whole model.

        Raises
        ------
        CompileError
            It is larger than a file of this format may be.
        """
        # Told here, as protobuf says no more than that it failed.
        size = sum(array.nbytes for _, array in self._initializers)
        if size > MOST_BYTES:
            raise CompileError(
                f"an ONNX file needs at most {MOST_BYTES:,} bytes of constants, but the network "
                f"has {size:,}; quantize to fewer terms, or export a .qgraph"
            )
        helper, numpy_helper = package("onnx.helper"), package("onnx.numpy_helper")
        constants = [numpy_helper.from_array(array, name) for name, array in self._initializers]
        graph = helper.make_graph(
            self.nodes, "integers", self.inputs, self.outputs, constants, doc_string=doc
        )
        opsets = [helper.make_opsetid("", OPSET), *(helper.make_opsetid(d, 1) for d in domains)]
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="qnn", doc_string=doc
        )
        helper.set_model_props(model, metadata)
        return model


def element_type(dtype: object) -> int:
    """ONNX's number of a NumPy type."""
    return package("onnx.helper").np_dtype_to_tensor_dtype(np.dtype(dtype))


def _free(name, taken):
    free = (name if number == 1 else f"{name}.{number}" for number in count(1))
    found = next(each for each in free if each not in taken)
    taken.add(found)
    return found


def _info(tensor, shape):
    helper = package("onnx.helper")
    return helper.make_tensor_value_info(tensor.name, element_type(tensor.dtype), list(shape))
