"""Operators on integers, as onnxruntime's quantizer writes them, said in the QDQ format.

A ``QLinearConv`` is a ``Conv`` between quantizers, and a ``ConvInteger`` behind a
``DynamicQuantizeLinear`` is one whose operand nothing has rounded: then one reader of quantizers
serves all of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from qnn.frontend.onnx.graph import OnnxGraph, OnnxNode

MICROSOFT = "com.microsoft."
# Of one tensor each: values, scale and zero point, and those of the result.
OF_ONE = {
    f"{MICROSOFT}QLinearGlobalAveragePool": "GlobalAveragePool",
    f"{MICROSOFT}QLinearAveragePool": "AveragePool",
    f"{MICROSOFT}QLinearSigmoid": "Sigmoid",
    f"{MICROSOFT}QLinearLeakyRelu": "LeakyRelu",
}
OF_TWO = {f"{MICROSOFT}QLinearAdd": "Add", f"{MICROSOFT}QLinearMul": "Mul"}
DYNAMIC = "DynamicQuantizeLinear"
INTEGER = {"ConvInteger": "Conv", "MatMulInteger": "MatMul"}


def as_qdq(graph: OnnxGraph) -> OnnxGraph:
    """The graph with such operators between quantizers; others, and forms unknown, as they are."""
    if not any(node.kind in _WRITERS for node in graph.nodes):
        return graph
    written = _Writer(dict(graph.constants), {node.name for node in graph.nodes})
    for node in graph.nodes:
        writer = _WRITERS.get(node.kind)
        if writer is None or not writer(written, node):
            written.nodes.append(node)
    return replace(graph, nodes=tuple(written.nodes), constants=written.constants)


@dataclass
class _Writer:
    """What is written so far.

    Members
    -------
    dynamic : results of ``DynamicQuantizeLinear``, which are reals here, in steps of 1
    """

    constants: dict[str, Tensor]
    names: set[str]
    nodes: list[OnnxNode] = field(default_factory=list)
    dynamic: set[str] = field(default_factory=set)

    def add(self, like: OnnxNode, kind: str, *inputs: str, **attributes: int) -> str:
        """The name of what a further node gives."""
        name, number = f"{like.name}_{kind}", 0
        while name in self.names:
            number += 1
            name = f"{like.name}_{kind}_{number}"
        self.names.add(name)
        # A blank keeps it apart from what files name.
        out = f" {name}"
        self.nodes.append(OnnxNode(name, kind, inputs, (out,), attributes, like.opset))
        return out

    def reals(self, node: OnnxNode, x: str, scale: str, zero: str = "", **axis: int) -> str:
        """A tensor behind its ``DequantizeLinear``."""
        return self.add(node, "DequantizeLinear", x, scale, *[zero] * bool(zero), **axis)

    def product(self, node: OnnxNode, *numbers: str | float) -> str | None:
        """A constant that is the product of others; None where one is none."""
        known = [self.constants.get(each) if isinstance(each, str) else each for each in numbers]
        if any(each is None for each in known):
            return None
        found = torch.ones(())
        for each in known:
            found = found * each
        name = f" scale of {node.name}"
        self.constants[name] = found.reshape(-1) if found.numel() > 1 else found.reshape(())
        return name

    def finish(self, node: OnnxNode, kind: str, inputs: list[str], scale: str, zero: str) -> bool:
        """The float operator under the node's own name, and the quantizer of its result."""
        inner = f" result of {node.name}" if scale else node.outputs[0]
        made = replace(node, kind=kind, inputs=tuple(inputs), outputs=(inner,))
        self.nodes.append(made)
        if scale:
            self.add(node, "QuantizeLinear", inner, scale, *[zero] * bool(zero))
            self.nodes[-1] = replace(self.nodes[-1], outputs=node.outputs)
        return True


def _conv(to: _Writer, node: OnnxNode) -> bool:
    x, xs, xz, w, ws, wz, ys, yz, *bias = node.inputs
    inputs = [to.reals(node, x, xs, xz), to.reals(node, w, ws, wz, axis=0)]
    if bias:
        scale = to.product(node, xs, ws)
        if scale is None:
            return False
        inputs.append(to.reals(node, bias[0], scale, axis=0))
    return to.finish(node, "Conv", inputs, ys, yz)


def _matmul(to: _Writer, node: OnnxNode) -> bool:
    a, sa, za, b, sb, zb, ys, yz = node.inputs
    inputs = [to.reals(node, a, sa, za), to.reals(node, b, sb, zb, axis=-1)]
    return to.finish(node, "MatMul", inputs, ys, yz)


def _gemm(to: _Writer, node: OnnxNode) -> bool:
    a, sa, za, b, sb, zb, c, ys, yz = (*node.inputs, "", "", "")[:9]
    own = node.attributes
    columns = 0 if own.get("transB", 0) else 1
    inputs = [to.reals(node, a, sa, za), to.reals(node, b, sb, zb, axis=columns)]
    if c:
        scale = to.product(node, sa, sb, own.get("alpha", 1.0))
        if scale is None:
            return False
        inputs.append(to.reals(node, c, scale, axis=-1))
    return to.finish(node, "Gemm", inputs, ys, yz)


def _of_one(to: _Writer, node: OnnxNode) -> bool:
    x, xs, xz, ys, yz = (*node.inputs, "")[:5]
    if node.attributes.get("channels_last", 0):
        return False
    own = {name: value for name, value in node.attributes.items() if name != "channels_last"}
    plain = replace(node, attributes=own)
    return to.finish(plain, OF_ONE[node.kind], [to.reals(node, x, xs, xz)], ys, yz)


def _of_two(to: _Writer, node: OnnxNode) -> bool:
    a, sa, za, b, sb, zb, ys, yz = (*node.inputs, "")[:8]
    inputs = [to.reals(node, a, sa, za), to.reals(node, b, sb, zb)]
    return to.finish(node, OF_TWO[node.kind], inputs, ys, yz)


def _concat(to: _Writer, node: OnnxNode) -> bool:
    ys, yz, *rest = node.inputs
    parts = [to.reals(node, *rest[n : n + 3]) for n in range(0, len(rest), 3)]
    return to.finish(node, "Concat", parts, ys, yz)


def _plain(to: _Writer, node: OnnxNode) -> bool:
    # Of types that ONNX's own had not then.
    to.nodes.append(replace(node, kind=node.kind.removeprefix(MICROSOFT)))
    return True


def _dynamic(to: _Writer, node: OnnxNode) -> bool:
    values, scale, zero = (*node.outputs, "", "")[:3]
    # What it gives are reals, so that a step is 1, and 0 is 0.
    to.constants |= {scale: torch.ones(()), zero: torch.zeros((), dtype=torch.uint8)}
    to.nodes.append(replace(node, outputs=(values,)))
    to.dynamic.add(values)
    return True


def _integer(to: _Writer, node: OnnxNode) -> bool:
    x, w, _, wz = (*node.inputs, "", "")[:4]
    one = to.product(node, 1.0)
    # Behind another quantizer its scale would count twice.
    if x not in to.dynamic or w not in to.constants:
        return False
    along = {"axis": 0 if node.kind == "ConvInteger" else -1}
    return to.finish(node, INTEGER[node.kind], [x, to.reals(node, w, one, wz, **along)], "", "")


_WRITERS: Mapping[str, Callable[[_Writer, OnnxNode], bool]] = {
    "QLinearConv": _conv,
    "QLinearMatMul": _matmul,
    f"{MICROSOFT}QGemm": _gemm,
    f"{MICROSOFT}QLinearConcat": _concat,
    **dict.fromkeys(OF_ONE, _of_one),
    **dict.fromkeys(OF_TWO, _of_two),
    f"{MICROSOFT}QuantizeLinear": _plain,
    f"{MICROSOFT}DequantizeLinear": _plain,
    DYNAMIC: _dynamic,
    **dict.fromkeys(INTEGER, _integer),
}
