"""A program of torch.export as a float graph: one walk over its nodes."""

import math
import operator
from dataclasses import dataclass, field

import torch
from torch import Tensor, fx

from qnn.errors import ModelError
from qnn.frontend.aten.call import Call
from qnn.frontend.aten.registry import OPERATORS, SUPPORTED
from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.input import FloatInput
from qnn.frontend.ops.operator import FloatOperator
from qnn.ir.graph import Output

OUTPUT = (
    "model output needs to be a tensor, or a tuple of tensors, computed from the input; return "
    "nothing else"
)
CHECKS = {"aten._assert_tensor_metadata"}  # torch.export's own, without a result
BATCH = 2  # exported with this many images, so that no dimension of 1 is taken for the batch


def read(program: torch.export.ExportedProgram) -> FloatGraph:
    """The float graph of ``program``, which was exported with ``BATCH`` images.

    Raises
    ------
    ModelError
        The program does what integers of shifts and adds cannot; the text names the layer.
    """
    return _Walk(program).graph()


@dataclass
class _Walk:
    """One walk over an exported program."""

    program: torch.export.ExportedProgram
    nodes: dict[str, FloatOperator] = field(default_factory=dict)
    values: dict[fx.Node, str | Tensor | None] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    constants: dict[str, str] = field(init=False)  # placeholder to the name of its tensor

    def __post_init__(self):
        signature = self.program.graph_signature  # whose tables are made anew whenever asked for
        self.constants = {
            **signature.inputs_to_parameters,
            **signature.inputs_to_buffers,
            **signature.inputs_to_lifted_tensor_constants,
        }

    def graph(self) -> FloatGraph:
        outputs = ()
        for node in self.program.graph.nodes:
            if node.op == "placeholder":
                self.values[node] = self._placeholder(node)
            elif node.op == "call_function":
                self.values[node] = self._call(node)
            elif node.op == "output":
                outputs = self._outputs(node)
        return FloatGraph(_reached(self.nodes, outputs), outputs)

    def _placeholder(self, node):
        if node.name in self.constants:
            return self._constant(self.constants[node.name])
        return self._add(FloatInput(name=node.name, shape=_shape(node, node.name)))

    def _constant(self, name):
        program = self.program
        held = program.state_dict if name in program.state_dict else program.constants
        return held[name].detach().cpu()

    def _call(self, node):
        if node.target is operator.getitem:
            # Only normalisation gives several results; those but the first are saved statistics,
            # which evaluation does not use.
            return self.values[node.args[0]] if node.args[1] == 0 else None
        if _target(node) in CHECKS:
            return None
        tensors = [self.values[n] for n in node.all_input_nodes]
        # Computed from weights alone, as parametrizations do: a constant of the network.
        if tensors and all(isinstance(t, Tensor) for t in tensors):
            return _evaluate(node, self.values)
        return self._operator(node)

    def _operator(self, node):
        name = self._name(node)
        target = _target(node)
        if target not in OPERATORS:
            raise ModelError(
                f"layer '{name}' ({target}) is not supported; supported are {SUPPORTED}; "
                f"replace it or keep it out of the quantized model"
            )
        call = Call(
            name=name,
            arguments=_arguments(node, self.values),
            nodes=self.nodes,
            result_shape=lambda: _shape(node, name),
        )
        result = OPERATORS[target](call)
        return result if isinstance(result, str) else self._add(result)

    def _add(self, node):
        self.nodes[node.name] = node
        return node.name

    def _name(self, node):
        """The path of the module, and the operator after it where the module computes more."""
        stack = list((node.meta.get("nn_module_stack") or {"": ("", "")}).values())
        path, kind = stack[-1]
        # torch.export marks later calls of one module with @ and a number.
        path = path.split("@")[0]
        leaf = str(kind).removeprefix("<class '").startswith("torch.nn.modules.")
        called = _target(node).split(".")[-1].strip("_")
        name = path if leaf and path else f"{path}.{called}".strip(".")
        return self._unique(name)

    def _unique(self, name):
        """``name``, with the least number behind it that makes it one of its own."""
        count = self.counts.get(name, 0)
        result = f"{name}_{count}" if count else name
        while result in self.nodes:
            count += 1
            result = f"{name}_{count}"
        self.counts[name] = count  # all below are taken, and stay so
        return result

    def _outputs(self, node):
        found = node.args[0] if isinstance(node.args[0], (tuple, list)) else (node.args[0],)
        outputs = []
        for item in found:
            value = self.values.get(item) if isinstance(item, fx.Node) else None
            if not isinstance(value, str):
                raise ModelError(OUTPUT)
            outputs.append(Output(value, tuple(item.meta["val"].shape[1:])))
        return tuple(outputs)


def _target(node):
    """The operator without its overload: ``aten.add``."""
    return str(node.target).rsplit(".", 1)[0]


def _evaluate(node, values):
    """The result of an operator on weights alone (a parametrization, for example)."""
    args, kwargs = fx.map_arg((node.args, node.kwargs), lambda n: values[n])
    result = node.target(*args, **kwargs)
    return result[0] if isinstance(result, tuple) else result


def _arguments(node, values):
    """Arguments by their names in the operator's schema; tensors as constants or node names."""
    schema = node.target._schema.arguments
    given = dict(zip((argument.name for argument in schema), node.args, strict=False))
    given |= node.kwargs
    # The program leaves out what equals the schema's default.
    filled = {a.name: given.get(a.name, a.default_value) for a in schema}
    return {key: fx.map_arg(value, lambda n: values[n]) for key, value in filled.items()}


def _shape(node, name):
    shape = tuple(node.meta["val"].shape)
    if len(shape) not in (2, 4) or shape[0] != BATCH or not math.prod(shape):
        raise ModelError(
            f"layer '{name}' needs to give (batch, channels, height, width) or (batch, features), "
            f"but gives {('batch', *shape[1:]) if shape[:1] == (BATCH,) else shape}; change the "
            f"model"
        )
    return (*shape[1:], *(1,) * (4 - len(shape)))


def _reached(nodes, outputs):
    """Nodes that an output needs, and the inputs, in their order."""
    needed = {output.name for output in outputs}
    # From the outputs back: every reader comes before what it reads.
    for name in reversed(nodes):
        if name in needed:
            needed.update(nodes[name].inputs)
    for name, node in nodes.items():
        if not node.inputs and name not in needed:
            raise ModelError(
                f"model input '{name}' needs to reach an output, but none is computed from it; "
                f"take it out of the model"
            )
    return tuple(node for node in nodes.values() if node.name in needed)
