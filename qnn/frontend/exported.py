"""A program of torch.export as a float graph: one walk over its nodes."""

import math
import operator
import warnings
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx
from torch.export.graph_signature import OutputKind

from qnn.errors import ModelError, QnnWarning
from qnn.frontend.aten.call import Call, computed
from qnn.frontend.aten.registry import OPERATORS, SUPPORTED
from qnn.frontend.faults import Fault, FaultyModel, listed, module_of, site_of, target_of
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
    values: dict[fx.Node, Any] = field(default_factory=dict)
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
        # Before its operators, whose faults would hide it.
        self._check_state()
        for node in self.program.graph.nodes:
            if node.op == "placeholder":
                self.values[node] = self._placeholder(node)
            elif node.op == "call_function":
                self.values[node] = self._call(node)
            elif node.op == "output":
                outputs = self._outputs(node)
        self._warn_of_unread()
        return FloatGraph(_reached(self.nodes, outputs), outputs)

    def _check_state(self):
        """Return if no output depends on a buffer that each run changes, such as a state."""
        signature = self.program.graph_signature
        changed = set(signature.buffers_to_mutate.values())
        results = set(signature.user_outputs)
        for node in self.program.graph.nodes:
            name = signature.inputs_to_buffers.get(node.name) if node.op == "placeholder" else None
            # A counter that nothing reads back is no state.
            if name in changed and not results.isdisjoint(_behind(node)):
                raise ModelError(
                    f"model output needs to depend on the input alone, but buffer '{name}' is "
                    f"changed by each run and read by the next; take it as an input and return it"
                )

    def _warn_of_unread(self):
        """Tell of inputs and layers that no output reads: often a mistake in forward."""
        signature, layers = self.program.graph_signature, []
        results = set(signature.user_outputs)
        for node in self.program.graph.find_nodes(op="placeholder"):
            if not results.isdisjoint(_behind(node)):
                continue
            if computed(self.values[node]):
                text = f"model input '{node.name}' is read by no output; it stays an input, which "
                _warn(text + "changes nothing")
            name = signature.inputs_to_parameters.get(node.name, "")
            layers += [name.rpartition(".")[0] or name] * bool(name)
        if layers:
            names = listed(f"'{layer}'" for layer in dict.fromkeys(layers))
            _warn(f"weights of {names} are read by no output; they are left out")

    def _placeholder(self, node):
        if node.name in self.constants:
            return self._constant(self.constants[node.name])
        return self._add(FloatInput(name=node.name, shape=_shape(node)))

    def _constant(self, name):
        program = self.program
        held = program.state_dict if name in program.state_dict else program.constants
        return held[name].detach().cpu()

    def _call(self, node):
        if node.target is operator.getitem:
            return self._item(node)
        if target_of(node) in CHECKS:
            return None
        operands = [self.values[n] for n in node.all_input_nodes]
        # Computed from weights alone, as parametrizations do: a constant of the network.
        if not any(map(computed, operands)):
            return self._evaluated(node)
        return self._operator(node)

    def _item(self, node):
        """One of several results: of a constant any, else the first, as the readers give it."""
        results, index = self.values[node.args[0]], node.args[1]
        if not computed(results):
            return results[index]
        # Others are statistics of training, masks and places, which evaluation has no use for.
        if index and node.users:
            problem = f"needs its first result alone, not result {index}"
            raise FaultyModel([Fault(site_of(node.args[0]), problem, "leave the other out")])
        return results

    def _evaluated(self, node):
        """The result of an operator on constants: what every run of the model would give."""
        tags = getattr(node.target, "tags", ())
        if torch.Tag.nondeterministic_seeded in tags:
            raise FaultyModel(
                [Fault(site_of(node), "needs no random numbers", "take them as an input")]
            )
        args, kwargs = fx.map_arg((node.args, node.kwargs), lambda n: self.values[n])
        with torch.no_grad():
            return node.target(*args, **kwargs)

    def _operator(self, node):
        target = target_of(node)
        if target not in OPERATORS:
            raise FaultyModel(
                [
                    Fault(
                        site_of(node),
                        f"is not supported; supported are {SUPPORTED}",
                        "replace it or keep it out of the quantized model",
                    )
                ]
            )
        schema = node.target._schema.arguments
        given = _given(node, schema)
        call = Call(
            name=self._name(node),
            site=site_of(node),
            arguments={
                key: fx.map_arg(value, lambda n: self.values[n]) for key, value in given.items()
            },
            usual={a.name: a.default_value for a in schema if a.has_default_value()},
            ranks={key: _rank(value) for key, value in given.items()},
            nodes=self.nodes,
            result_shape=lambda: _shape(node),
        )
        _check_type(node, call)
        result = OPERATORS[target](call)
        call.check_all_taken()
        return self._add(result)

    def _add(self, node):
        self.nodes[node.name] = node
        return node

    def _name(self, node):
        """The path of the module, and the operator after it where the module computes more."""
        path, kind = module_of(node)
        called = target_of(node).split(".")[-1].strip("_")
        leaf = path and kind.startswith("torch.nn.modules.")
        return self._unique(path if leaf else f"{path}.{called}".strip("."))

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
        for item, spec in zip(found, self.program.graph_signature.output_specs, strict=True):
            # What a run would write back to buffers and inputs is no result of it.
            if spec.kind is not OutputKind.USER_OUTPUT:
                continue
            value = self.values.get(item) if isinstance(item, fx.Node) else None
            if not computed(value):
                raise ModelError(OUTPUT)
            outputs.append(Output(value.name, tuple(item.meta["val"].shape[1:])))
        return tuple(outputs)


def _behind(node):
    """Names of all that is computed from ``node``, and its own."""
    # Names and not nodes: the signature tells results by name.
    found, open_ = {node.name}, [node]
    while open_:
        new = [user for user in open_.pop().users if user.name not in found]
        found.update(user.name for user in new)
        open_ += new
    return found


def _warn(text):
    warnings.warn(text, QnnWarning, stacklevel=2)


def _given(node, schema):
    """Arguments by their names in the operator's schema, with the defaults of those left out."""
    # Positional ones first, in the order of the schema.
    given = dict(zip((argument.name for argument in schema), node.args, strict=False))
    given |= node.kwargs
    return {a.name: given.get(a.name, a.default_value) for a in schema}


def _rank(value):
    """The number of axes of an operand, or of the operands of a list."""
    first = value[0] if isinstance(value, list | tuple) and value else value
    held = first.meta.get("val") if isinstance(first, fx.Node) else None
    return held.dim() if isinstance(held, Tensor) else 0


def _check_type(node, call):
    results = node.meta["val"]
    first = results[0] if isinstance(results, tuple | list) else results
    # Integers have no other float types: a cast would change values in PyTorch alone.
    if first.dtype != torch.float32:
        raise call.refuse("float32", f"{first.dtype}", "leave the cast out")
    if first.device.type == "meta":
        raise call.refuse("a device with values", "meta", "leave the device out")


def _shape(node):
    results = node.meta["val"]
    shape = tuple((results[0] if isinstance(results, tuple | list) else results).shape)
    if len(shape) not in (2, 4) or shape[0] != BATCH or not math.prod(shape):
        got = ("batch", *shape[1:]) if shape[:1] == (BATCH,) else shape
        problem = (
            f"needs to give (batch, channels, height, width) or (batch, features), but gives {got}"
        )
        raise FaultyModel([Fault(site_of(node), problem, "change the model")])
    return (*shape[1:], *(1,) * (4 - len(shape)))


def _reached(nodes, outputs):
    """Nodes that an output needs, and the inputs, in their order."""
    needed = {output.name for output in outputs}
    # From the outputs back: every reader comes before what it reads.
    for name in reversed(nodes):
        if name in needed:
            needed.update(nodes[name].inputs)
    # What is given stays given, so that inputs keep their number and order.
    return tuple(node for node in nodes.values() if node.name in needed or not node.inputs)
