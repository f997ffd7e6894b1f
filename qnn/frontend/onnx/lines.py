"""Convolutions of lines that a file has as images of one row: convolutions along the line again.

TensorFlow has no other: it gives a line an axis of one row, convolves, and takes the axis away.
Read as written, the line turns each time, which costs a step for each of its values.
"""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from qnn.frontend.onnx.graph import OnnxGraph, OnnxNode

ROW = 2  # the axis of the one row, in (images, channels, 1, values)
QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")
ALONE = ("Relu", "LeakyRelu", "Elu", "Sigmoid", "Tanh", "HardSwish", "HardSigmoid", "Clip")
BRANCHED = ("If", "Loop", "Scan")  # inside, they read names of what lies outside
BROADCAST = ("Add", "Sub", "Mul", "Div")


def along_lines(graph: OnnxGraph) -> OnnxGraph:
    """The graph without rows of one value where convolutions and what follows them need none."""
    lines = _Lines(graph)
    for node in graph.nodes:
        lines.read(node)
    for name in graph.outputs:
        lines.give(name)
    return replace(graph, nodes=tuple(lines.nodes), constants=lines.constants)


@dataclass
class _Lines:
    """What is known up to a node: ``begun`` may be of any rank, ``found`` has four axes."""

    graph: OnnxGraph
    nodes: list[OnnxNode] = field(default_factory=list)
    begun: dict[str, str] = field(default_factory=dict)  # by name, the line without its row
    from_behind: set[str] = field(default_factory=set)  # of these, whose row's place is unknown
    found: dict[str, str] = field(default_factory=dict)
    given: set[str] = field(default_factory=set)

    def __post_init__(self):
        self.constants = dict(self.graph.constants)
        self.makers = {name: node for node in self.graph.nodes for name in node.outputs}

    def read(self, node: OnnxNode) -> None:
        moved = self._moved(node)
        if moved is not None:
            self.nodes.append(moved)
            return
        for name in [*self.found] if node.kind in BRANCHED else node.inputs:
            self.give(name)
        self.nodes.append(node)
        if node.kind == "Unsqueeze" and self._is_of_row(node):
            self.begun[node.outputs[0]] = node.inputs[0]
            if node.numbers("axes", self.constants) != [ROW]:
                self.from_behind.add(node.outputs[0])
        # As transpositions to channels first become.
        if node.kind == "Identity" and node.inputs[0] in self.begun:
            self.begun[node.outputs[0]] = self.begun[node.inputs[0]]
            if node.inputs[0] in self.from_behind:
                self.from_behind.add(node.outputs[0])

    def give(self, name: str) -> None:
        """Let a line have its row, for whoever needs it."""
        if name in self.found and name not in self.given:
            self.given.add(name)
            self.nodes.append(self._with_axis("Unsqueeze", self.found[name], name))

    def _moved(self, node) -> OnnxNode | None:
        """The node along the line; None: it needs the row, or reads no line."""
        line = self.found.get(node.inputs[0]) if node.inputs else None
        begun = line or (self.begun.get(node.inputs[0]) if node.inputs else None)
        if begun and node.kind == "Conv":
            return self._conv(node, begun)
        if begun and node.kind == "Reshape":
            return self._reshape(node, begun)
        if line and node.kind == "Squeeze" and self._is_of_row(node):
            return replace(node, kind="Identity", inputs=(line,), attributes={})
        if node.kind in (*ALONE, *QUANTIZERS):
            scales = [self.constants.get(name) for name in node.inputs[1:] if name]
            alone = node.kind in ALONE or all(s is not None and s.numel() == 1 for s in scales)
            return self._named(node, (line, *node.inputs[1:])) if line and alone else None
        return self._broadcast(node) if node.kind in BROADCAST else None

    def _conv(self, node, line) -> OnnxNode | None:
        weight = self.constants.get(node.inputs[1], self._held(node.inputs[1]))
        pads = node.attributes.get("pads", [0] * 4)
        one_row = weight is not None and weight.dim() == 4 and weight.shape[ROW] == 1
        if not one_row or pads[0] or pads[2]:
            return None
        narrow = f"{node.inputs[1]} of {node.outputs[0]} along a line"
        self.nodes.append(self._with_axis("Squeeze", node.inputs[1], narrow))
        along = {
            name: [int(node.attributes[name][1])]
            for name in ("kernel_shape", "strides", "dilations")
            if name in node.attributes
        }
        along |= {"pads": [int(pads[1]), int(pads[3])]} if any(pads) else {}
        rest = {k: v for k, v in node.attributes.items() if k in ("group", "auto_pad")}
        made = replace(node, attributes={**rest, **along})
        return self._named(made, (line, narrow, *node.inputs[2:]))

    def _held(self, name) -> Tensor | None:
        """The integers that a constant is read from."""
        maker = self.makers.get(name)
        known = maker is not None and maker.kind == "DequantizeLinear"
        return self.constants.get(maker.inputs[0]) if known else None

    def _reshape(self, node, line) -> OnnxNode | None:
        sizes = self.constants.get(node.inputs[1])
        # A zero is the size of the operand's axis, of which the line has one less.
        first = 0 if node.inputs[0] in self.from_behind else ROW
        same = sizes is not None and sizes.dim() == 1 and bool((sizes[first:] != 0).all())
        return replace(node, inputs=(line, node.inputs[1])) if same else None

    def _broadcast(self, node) -> OnnxNode | None:
        inputs, lines = [], 0
        for name in node.inputs:
            constant = self.constants.get(name)
            if name in self.found:
                inputs.append(self.found[name])
                lines += 1
            elif constant is None:
                return None
            elif constant.numel() == 1:
                self.constants[f"{name} alone"] = constant.reshape(())
                inputs.append(f"{name} alone")
            elif constant.dim() in (3, 4) and constant.shape[-2] == 1:
                self.constants[f"{name} along a line"] = constant.squeeze(-2)
                inputs.append(f"{name} along a line")
            else:
                return None
        return self._named(node, tuple(inputs)) if lines else None

    def _named(self, node, inputs) -> OnnxNode:
        """The node of ``inputs``, what it gives being a line."""
        line = f"{node.outputs[0]} as a line"
        self.found[node.outputs[0]] = line
        return replace(node, inputs=inputs, outputs=(line, *node.outputs[1:]))

    def _is_of_row(self, node) -> bool:
        """Whether the one axis that a node gives or takes away is that of the row."""
        return node.numbers("axes", self.constants) in ([ROW], [ROW - 4])

    def _with_axis(self, kind, name, result) -> OnnxNode:
        axes = f"{kind} of {result}"
        self.constants[axes] = torch.tensor([ROW])
        word = "".join(each if each.isalnum() else "_" for each in result)
        return OnnxNode(f"{word}_{kind.lower()}", kind, (name, axes), (result,), {}, opset=13)
