"""A program of torch.export as a float graph: one walk over its nodes."""

import math
import operator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram

from qnn.frontend.aten.advice import cure_of
from qnn.frontend.aten.call import Call, computed
from qnn.frontend.aten.registry import OPERATORS
from qnn.frontend.faults import Fault, FaultyModel, Site, module_of, site_of, target_of
from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.input import FloatInput
from qnn.frontend.ops.operator import FloatOperator
from qnn.frontend.signature import live_nodes, results, states, warn_of_unread
from qnn.ir.graph import Output

OUTPUT = "output needs to be a tensor, or a tuple of tensors, computed from the input"
# torch.export's own checks of types and values, without a result.
CHECKS = {"aten._assert_tensor_metadata", "aten._assert_scalar", "aten._assert_async"}


def read(program: ExportedProgram) -> FloatGraph:
    """The float graph of ``program``, whose inputs have one fixed number of images.

    Raises
    ------
    FaultyModel
        The program does what integers of shifts and adds cannot; it has every fault.
    """
    return _Walk(program).graph()


@dataclass
class _Walk:
    """One walk over an exported program, which goes on behind what it cannot take.

    Members
    -------
    values : what was computed at each node: an operator of the float graph, or a constant
    states : buffers that are no constants, each with its fault
    unknown : names of stand-ins for results that no float graph has, of whatever shape
    """

    program: ExportedProgram
    nodes: dict[str, FloatOperator] = field(default_factory=dict)
    values: dict[fx.Node, Any] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    states: dict[fx.Node, Fault] = field(default_factory=dict)
    constants: dict[str, str] = field(init=False)  # placeholder to the name of its tensor
    batch: int = field(init=False)  # images of each input, the first axis of all that is computed

    def __post_init__(self):
        signature = self.program.graph_signature  # whose tables are made anew whenever asked for
        self.constants = {
            **signature.inputs_to_parameters,
            **signature.inputs_to_buffers,
            **signature.inputs_to_lifted_tensor_constants,
        }
        placeholders = self.program.graph.find_nodes(op="placeholder")
        images = [node for node in placeholders if node.name in signature.user_inputs]
        self.batch = next((node.meta["val"].shape[0] for node in images if _is_tensor(node)), 0)

    def graph(self) -> FloatGraph:
        # What no result needs is not read: it may be whatever it is.
        live = live_nodes(self.program)
        self.states = states(self.program, live)
        readers = {"placeholder": self._placeholder, "call_function": self._call}
        for node in self.program.graph.nodes:
            if node in live or node.op == "placeholder":
                try:
                    self.values[node] = readers.get(node.op, self._attribute)(node)
                except FaultyModel as error:
                    self.faults += error.faults
                    self.values[node] = self._stand_in(node)
        outputs = self._outputs()
        if self.faults:
            raise FaultyModel(dict.fromkeys(self.faults))
        warn_of_unread(self.program, live)
        return FloatGraph(_reached(self.nodes, outputs), outputs)

    def _placeholder(self, node):
        if node in self.states:
            raise FaultyModel([self.states[node]])
        if node.name in self.constants:
            return self._constant(self.constants[node.name])
        # Inputs that are no tensors were fixed when the program was exported.
        if not _is_tensor(node):
            return node.meta.get("val")
        if not self._fits(node):
            axes = ", ".join(["batch", *map(str, node.meta["val"].shape[1:])])
            problem = (
                f"input '{node.name}' needs shape (batch, channels, height, width) or (batch, "
                f"features), not ({axes})"
            )
            cure = "lay a sequence along the height, as (batch, channels, length, 1)"
            raise FaultyModel([Fault(Site("", ""), problem, cure)])
        return self._add(FloatInput(name=node.name, shape=self._shape(node)))

    def _constant(self, name):
        program = self.program
        held = program.state_dict if name in program.state_dict else program.constants
        return held[name].detach().cpu()

    def _attribute(self, node):
        """A constant, or a part of a model that a control flow operator calls."""
        return getattr(self.program.graph_module, node.target, None)

    def _call(self, node):
        if node.target is operator.getitem:
            return self._item(node)
        if target_of(node) in CHECKS:
            return None
        # Computed from weights alone, as parametrizations do: a constant of the network.
        if not any(computed(self.values[n]) for n in node.all_input_nodes):
            return self._evaluated(node)
        return self._operator(node)

    def _item(self, node):
        """One of several results: of a constant any, else the first, as the readers give it."""
        found, index = self.values[node.args[0]], node.args[1]
        if not computed(found):
            return found[index]
        if found.name in self.unknown:
            return self._stand_in(node)
        # Others are statistics of training, masks and places, which evaluation has no use for.
        if index:
            problem = f"needs its first result alone to be used, not result {index}"
            raise FaultyModel([Fault(site_of(node.args[0]), problem, "leave the other out")])
        return found

    def _evaluated(self, node):
        """The result of an operator on constants: what every run of the model would give."""
        if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()):
            cure = "take them as an input, or leave them out"
            raise FaultyModel([Fault(site_of(node), "needs no random numbers", cure)])
        args, kwargs = fx.map_arg((node.args, node.kwargs), lambda n: self.values[n])
        with torch.no_grad():
            return node.target(*args, **kwargs)

    def _operator(self, node):
        target = target_of(node)
        if target not in OPERATORS:
            raise FaultyModel([Fault(site_of(node), "is not supported", cure_of(target))])
        # What it reads is told already, and would be blamed here once more.
        operands = [self.values[n] for n in node.all_input_nodes]
        if any(computed(each) and each.name in self.unknown for each in operands):
            return self._stand_in(node)
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
            result_shape=lambda: self._shape(node),
        )
        _check_type(node, call)
        result = OPERATORS[target](call)
        call.check_all_taken()
        return self._add(result)

    def _add(self, node):
        self.nodes[node.name] = node
        return node

    def _stand_in(self, node):
        """What stands for the result of an operator that has a fault, so that the walk goes on."""
        result = FloatInput(name=self._unique(node.name), shape=())
        # Of integers and of other axes nothing is known that a reader could rely on.
        if _is_tensor(node) and node.meta["val"].dtype == torch.float32 and self._fits(node):
            return self._add(FloatInput(name=result.name, shape=self._shape(node)))
        self.unknown.add(result.name)
        return self._add(result)

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

    def _outputs(self):
        outputs = []
        for item in results(self.program):
            value = self.values.get(item) if isinstance(item, fx.Node) else None
            if not computed(value):
                self.faults.append(Fault(Site("", ""), OUTPUT, "return nothing else"))
                continue
            outputs.append(Output(value.name, tuple(_result(item).shape[1:])))
        return tuple(outputs)

    def _fits(self, node):
        shape = tuple(_result(node).shape)
        return len(shape) in (2, 4) and shape[0] == self.batch and math.prod(shape) > 0

    def _shape(self, node):
        shape = tuple(_result(node).shape)
        if self._fits(node):
            return (*shape[1:], *(1,) * (4 - len(shape)))
        # The first axis is the images', unless the operator has moved it.
        given = shape[:1] == (self.batch,)
        axes = ", ".join(["batch"] * given + [str(size) for size in shape[given:]])
        got = f"({axes})" if given else f"({axes}) without a batch"
        problem = (
            f"needs to give (batch, channels, height, width) or (batch, features), but gives {got}"
        )
        cure = "keep these axes throughout; x.flatten(1) makes features of an image"
        raise FaultyModel([Fault(site_of(node), problem, cure)])


def _is_tensor(node):
    return isinstance(node.meta.get("val"), Tensor)


def _result(node):
    """The shape and type of what a node gives, of several results the first's."""
    found = node.meta["val"]
    return found[0] if isinstance(found, tuple | list) else found


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
    first = _result(node)
    # Integers have no other float types: a cast would change values in PyTorch alone.
    if first.dtype != torch.float32:
        raise call.refuse("float32", f"{first.dtype}", "leave casts and autocast out")
    if first.device.type == "meta":
        raise call.refuse("a device with values", "meta", "leave the device out")


def _reached(nodes, outputs):
    """Nodes that an output needs, and the inputs, in their order."""
    needed = {output.name for output in outputs}
    # From the outputs back: every reader comes before what it reads.
    for name in reversed(nodes):
        if name in needed:
            needed.update(nodes[name].inputs)
    # What is given stays given, so that inputs keep their number and order.
    return tuple(node for node in nodes.values() if node.name in needed or not node.inputs)
