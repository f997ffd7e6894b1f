"""An ONNX graph as plain values: its nodes in order, its constants, its inputs and outputs."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from qnn.errors import ModelError
from qnn.frontend.onnx.protos import STANDARD, onnx_package, opset_of
from qnn.frontend.onnx.tensors import tensor_of
from qnn.interchange.file_rules import MOST_NODES, QUANTIZERS, is_of_qonnx


@dataclass(frozen=True)
class OnnxNode:
    """One node.

    Members
    -------
    name : its own, a word
    kind : the operator, ``Conv``; those of other domains with it, ``com.microsoft.FusedConv``
    inputs, outputs : names of values; empty where one is left out
    attributes : numbers, texts, tensors and lists; graphs are ``OnnxGraph``
    opset : the version of ONNX's operators that says what they mean
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    opset: int

    def numbers(self, name: str, constants: Mapping[str, Tensor]) -> list[int] | None:
        """The attribute of old opsets that is the second operand in new ones; None: not known."""
        held = self.attributes.get(name)
        if len(self.inputs) > 1:
            operand = constants.get(self.inputs[1])
            held = None if operand is None else operand.reshape(-1)
        return None if held is None else [int(each) for each in held]


@dataclass(frozen=True)
class OnnxInput:
    """One input.

    Members
    -------
    shape : its sizes, None where they are free
    real : whether it is of reals
    element : of onnx's TensorProto.DataType
    names : of its axes, empty where the file has none
    title : what a user calls it, where that is not its name
    """

    name: str
    shape: tuple[int | None, ...]
    real: bool
    element: int
    names: tuple[str, ...] = ()
    title: str = ""


@dataclass(frozen=True)
class OnnxGraph:
    """The nodes, each behind those that it reads, and what they begin and end with."""

    nodes: tuple[OnnxNode, ...]
    constants: Mapping[str, Tensor]
    inputs: tuple[OnnxInput, ...]
    outputs: tuple[str, ...]


@dataclass
class _GraphReader:
    folder: Path
    opset: int
    domains: Mapping[str, int]
    requantize: bool
    names: set[str] = field(default_factory=set)

    def graph(self, proto: Any, outer: Set[str] = frozenset()) -> OnnxGraph:
        if proto.sparse_initializer:
            raise ModelError(
                "constants need to be dense, not sparse; export the model without sparse ones"
            )
        constants = _constants(proto.initializer, self.folder)
        inputs = tuple(_given(each) for each in proto.input if each.name not in constants)
        # A branch reads what the graph around it has computed so far.
        known = {*constants, *(each.name for each in inputs), *outer}
        nodes = []
        for each in proto.node:
            node = self.node(each, known)
            _check_order(node, known)
            known.update(node.outputs)
            value = node.attributes.get("value")
            # Exporters write constants as nodes as often as not.
            if node.kind == "Constant" and isinstance(value, Tensor):
                constants[node.outputs[0]] = value
            else:
                nodes.append(node)
        outputs = tuple(each.name for each in proto.output)
        if not outputs or not known.issuperset(outputs):
            raise ModelError(
                "an ONNX graph needs outputs that its nodes compute, but has none; export the "
                "model again"
            )
        return OnnxGraph(_needed(nodes, outputs), constants, inputs, outputs)

    def node(self, proto: Any, known: Set[str]) -> OnnxNode:
        name = self._name(proto)
        standard = proto.domain in STANDARD
        kind = proto.op_type if standard else f"{proto.domain}.{proto.op_type}"
        # Whatever domain of QONNX's a tool writes, it is one operator.
        if self.requantize and is_of_qonnx(kind) and proto.op_type in QUANTIZERS:
            kind = proto.op_type
        inner = any(each.HasField("g") for each in proto.attribute)
        # What is inside a node's graphs is checked by itself.
        if standard and not inner and not _is_deprecated(proto.op_type, self.opset):
            self._check(proto, name)
        attributes = {each.name: self._attribute(each, known) for each in proto.attribute}
        return OnnxNode(name, kind, tuple(proto.input), tuple(proto.output), attributes, self.opset)

    def _check(self, proto, name):
        onnx = onnx_package()
        if not onnx.defs.has(proto.op_type, self.opset, ""):
            raise ModelError(
                f"node '{name}' needs an operator of ONNX's opset {self.opset}, but "
                f"'{proto.op_type}' is none; export the model for a newer opset, or without it"
            )
        context = onnx.checker.C.CheckerContext()
        context.ir_version = onnx.IR_VERSION
        context.opset_imports = {"": self.opset, **self.domains}
        try:
            onnx.checker.check_node(proto, context)
        except Exception:  # any: the checker's own, whose text has many lines
            raise ModelError(
                f"node '{name}' needs the inputs and attributes that {proto.op_type} of opset "
                f"{self.opset} has, but has others; export the model again"
            ) from None
        _check_named(proto, name, onnx.defs.get_schema(proto.op_type, self.opset, "").outputs)

    def _attribute(self, proto, known):
        onnx = onnx_package()
        # Texts, numbers and lists of them are what they are in Python.
        kinds = onnx.AttributeProto
        if proto.type == kinds.TENSOR:
            return tensor_of(proto.t, self.folder)
        if proto.type == kinds.GRAPH:
            return self.graph(proto.g, known)
        found = onnx.helper.get_attribute_value(proto)
        return found.decode(errors="replace") if isinstance(found, bytes) else found

    def _name(self, proto):
        """A word that a module can be called by, and a path may have."""
        # Many exporters name what nodes give and not the nodes.
        text = proto.name or f"{proto.op_type}_{next(iter(proto.output), '')}"
        word = "".join(each if each.isalnum() else "_" for each in text).strip("_") or "node"
        name, number = word, 0
        while name in self.names:
            number += 1
            name = f"{word}_{number}"
        self.names.add(name)
        return name


def graph_of(model: Any, folder: Path, requantize: bool = False) -> OnnxGraph:
    """The graph of a ``ModelProto``, whose larger constants may be files in ``folder``.

    Parameters
    ----------
    requantize : read QONNX's quantizers, too; otherwise they are operators that nobody knows

    Raises
    ------
    ModelError
        Nodes read what is computed behind them or nowhere, or have what their operators do not.
    """
    if len(model.graph.node) > MOST_NODES:
        raise ModelError(
            f"an ONNX graph needs at most {MOST_NODES:,} nodes, not {len(model.graph.node):,}; "
            f"export a part of it"
        )
    domains = {each.domain: each.version for each in model.opset_import}
    return _GraphReader(folder, opset_of(model), domains, requantize).graph(model.graph)


def _is_deprecated(kind, opset):
    """Whether newer files have another operator for it; the checker takes it in no file then."""
    onnx = onnx_package()
    try:
        return onnx.defs.get_schema(kind, opset, "").deprecated
    except Exception:  # any: onnx's own, of a name that it does not know
        return False


def _given(proto):
    onnx = onnx_package()
    tensor = proto.type.tensor_type
    if proto.type.WhichOneof("value") != "tensor_type" or not tensor.HasField("shape"):
        raise ModelError(
            f"input '{proto.name}' needs to be a tensor whose axes are known; export the model "
            f"with them"
        )
    sizes = tuple(
        each.dim_value if each.HasField("dim_value") and each.dim_value > 0 else None
        for each in tensor.shape.dim
    )
    kinds = onnx.TensorProto
    # Pixels come as reals, as everywhere: the first thing that is done to them is a cast.
    reals = (kinds.FLOAT, kinds.FLOAT16, kinds.DOUBLE, kinds.BFLOAT16, kinds.UINT8, kinds.INT8)
    names = tuple(each.dim_param for each in tensor.shape.dim)
    return OnnxInput(proto.name, sizes, tensor.elem_type in reals, tensor.elem_type, names)


def _check_named(proto, name, formal):
    """Return if only results that may be left out are; onnxruntime crashes of others."""
    optional = onnx_package().defs.OpSchema.FormalParameterOption.Optional
    for place, text in enumerate(proto.output):
        # The last one stands for all that follow it.
        if not text and formal[min(place, len(formal) - 1)].option != optional:
            raise ModelError(
                f"node '{name}' needs names for all that {proto.op_type} gives, but leaves out "
                f"result {place}; export the model again"
            )


def _constants(protos, folder) -> dict[str, Tensor]:
    """Tensors by their names, of which none may stand for two."""
    found: dict[str, Tensor] = {}
    for each in protos:
        tensor = tensor_of(each, folder)
        # Tools that join files may leave the same one twice.
        if each.name in found and not tensor.equal(found[each.name]):
            raise ModelError(
                f"constant '{each.name}' needs a name of its own, but another has it; export the "
                f"model again"
            )
        found[each.name] = tensor
    return found


def _needed(nodes, outputs):
    """The nodes that an output needs, in their order: no runtime computes what nobody reads."""
    needed, found = set(outputs), []
    for node in reversed(nodes):
        if not needed.isdisjoint(node.outputs):
            needed.update(_read(node))
            found.append(node)
    return tuple(reversed(found))


def _read(node):
    """What a node reads, also in its branches: graphs alone have nodes."""
    for inner in (each for each in node.attributes.values() if hasattr(each, "nodes")):
        yield from inner.outputs
        for each in inner.nodes:
            yield from _read(each)
    yield from (name for name in node.inputs if name)


def _check_order(node, known):
    missing = next((name for name in node.inputs if name and name not in known), None)
    if missing is not None:
        raise ModelError(
            f"node '{node.name}' needs '{missing}' before it, but it is computed behind it or "
            f"nowhere; sort the nodes, and export all of them"
        )
    twice = next((name for name in node.outputs if name and name in known), None)
    if twice is not None:
        raise ModelError(
            f"node '{node.name}' needs names of its own for what it computes, but '{twice}' is "
            f"another's; export the model again"
        )
