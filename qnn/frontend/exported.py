"""A program of torch.export as a float graph: one walk over its nodes."""

import operator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram

from qnn.frontend.aten.advice import cure_of
from qnn.frontend.aten.call import computed
from qnn.frontend.aten.calls import block_shape, call_of, fits, result_of
from qnn.frontend.aten.max_unpool import places_of
from qnn.frontend.aten.registry import OF_VIEWS, OPERATORS
from qnn.frontend.decompose import by_steps
from qnn.frontend.evaluate import CHECKS, evaluated, is_constant
from qnn.frontend.expand import expanded, expansion_of
from qnn.frontend.faults import Fault, FaultyModel, Site, site_of, target_of
from qnn.frontend.folded import read_in_parts
from qnn.frontend.graph import FloatGraph, needed
from qnn.frontend.host_cut import HostCut, host_cut
from qnn.frontend.host_part import host_part
from qnn.frontend.inputs import Reading, as_given, input_of, readings_of
from qnn.frontend.materialise import Materialise
from qnn.frontend.names import Names
from qnn.frontend.ops.input import FloatInput
from qnn.frontend.ops.operator import FloatOperator
from qnn.frontend.outputs import outputs_of
from qnn.frontend.signature import given_to, live_nodes, states, warn_of_unread
from qnn.frontend.through import passage
from qnn.frontend.views import (
    CONCATS,
    called,
    is_view,
    joins_channels,
    known,
    only_moves,
)
from qnn.frontend.writes import written

OUTPUT = "output needs to be a tensor, or a tuple of tensors, computed from the input"


def read(program: ExportedProgram) -> FloatGraph:
    """The float graph of ``program``, whose inputs have one fixed number of images.

    Raises
    ------
    FaultyModel
        The program does what integers of shifts and adds cannot; it has every fault.
    """
    refused = []
    for reading in readings_of(given_to(program)):
        try:
            return _Walk(program, reading).graph()
        except FaultyModel as error:
            refused.append((reading, error))
    # Of readings that cut what they can, that which comes furthest; of alike ones the usual.
    whole = [error for reading, error in refused if reading.cuts and not reading.tokens]
    raise min(whole, key=lambda error: len(error.faults))


@dataclass
class _Walk:
    """One walk over an exported program, which goes on behind what it cannot take.

    Members
    -------
    reading : of the axes of inputs
    values : what was computed at each node: an operator of the float graph, or a constant
    states : buffers that are no constants, each with its fault
    cut : the calls that the host computes
    unknown : names of stand-ins for results that no float graph has, of whatever shape
    """

    program: ExportedProgram
    reading: Reading
    nodes: dict[str, FloatOperator] = field(default_factory=dict)
    values: dict[fx.Node, Any] = field(default_factory=dict)
    names: Names = field(init=False)
    faults: list[Fault] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    states: dict[fx.Node, Fault] = field(default_factory=dict)
    cut: HostCut = field(init=False)
    constants: dict[str, str] = field(init=False)  # placeholder to the name of its tensor
    batch: int = field(init=False)  # images of each input, the first axis of all that is computed
    materialise: Materialise = field(init=False)

    def __post_init__(self):
        self.names = Names(self.nodes)
        signature = self.program.graph_signature  # whose tables are made anew whenever asked for
        self.constants = {
            **signature.inputs_to_parameters,
            **signature.inputs_to_buffers,
            **signature.inputs_to_lifted_tensor_constants,
        }
        self.batch = next((each.shape[0] for each in given_to(self.program)), 0)
        self.materialise = Materialise(
            self.batch,
            lambda node: self._add(replace(node, name=self.names.fresh(node.name))),
            self.reading.cuts,
        )

    def graph(self) -> FloatGraph:
        # What no result needs is not read: it may be whatever it is.
        live = live_nodes(self.program)
        self.states = states(self.program, live)
        nodes = [node for node in self.program.graph.nodes if node in live]
        self.cut = host_cut(nodes, self.program.graph_signature.user_inputs, self.batch)
        readers = {"placeholder": self._placeholder, "call_function": self._call}
        for node in self.program.graph.nodes:
            if node in live or node.op == "placeholder":
                try:
                    self.values[node] = readers.get(node.op, self._attribute)(node)
                except FaultyModel as error:
                    self.faults += error.faults
                    self.values[node] = self._stand_in(node)
        outputs, host = self._outputs()
        if self.faults:
            raise FaultyModel(dict.fromkeys(self.faults))
        warn_of_unread(self.program, live)
        return FloatGraph(needed(self.nodes.values(), outputs), outputs, host)

    def _placeholder(self, node):
        if node in self.states:
            raise FaultyModel([self.states[node]])
        if node.name in self.constants:
            return self._constant(self.constants[node.name])
        # Inputs that are no tensors were fixed when the program was exported.
        if not _is_tensor(node):
            return node.meta.get("val")
        source = self._add(input_of(node, self.batch, self.reading))
        return as_given(node, source)

    def _constant(self, name):
        program = self.program
        held = program.state_dict if name in program.state_dict else program.constants
        return held[name].detach().cpu()

    def _attribute(self, node):
        """A constant, or a part of a model that a control flow operator calls."""
        return getattr(self.program.graph_module, node.target, None)

    def _call(self, node):
        if node in self.cut.refused:
            raise self.cut.refused[node]
        if node in self.cut.nodes:
            return None  # of the host, which only the outputs look at
        if node.target is operator.getitem:
            return self._item(node)
        if target_of(node) in CHECKS:
            return None
        # Computed from weights alone, as parametrizations do: a constant of the network.
        if is_constant(node, self.values):
            return evaluated(node, self.values)
        return self._operator(node)

    def _item(self, node):
        """One of several results: of a constant any, else the first, as the readers give it."""
        found, index = self.values[node.args[0]], node.args[1]
        if not computed(found):
            return found[index]  # of constants, or of the parts of a tensor
        if found.name in self.unknown:
            return self._stand_in(node)
        # Others are statistics of training and masks, which evaluation has no use for.
        if index:
            if places := places_of(node, found):
                return places
            problem = f"needs its first result alone to be used, not result {index}"
            raise FaultyModel([Fault(site_of(node.args[0]), problem, "leave the other out")])
        return found

    def _operator(self, node):
        expansion = expansion_of(node, self.values)
        if expansion is not None or target_of(node) in OPERATORS or only_moves(node):
            return self._taken(node, expansion)
        found = None if self._reads_unknown(node) else by_steps(node, self.values, self._call)
        if found is None:
            raise FaultyModel([Fault(site_of(node), "is not supported", cure_of(target_of(node)))])
        return found

    def _reads_unknown(self, node):
        """Whether an operand has a fault that is told already."""
        operands = [self.values[n] for n in node.all_input_nodes]
        return any(computed(each) and self._is_unknown(each) for each in operands)

    def _taken(self, node, expansion):
        # It would be blamed here once more.
        if self._reads_unknown(node):
            return self._stand_in(node)
        try:
            return self._at_once(node, expansion)
        except FaultyModel as error:
            return read_in_parts(node, self.values, self._call, self.batch, error)

    def _at_once(self, node, expansion):
        target = target_of(node)
        if expansion is not None:
            return expanded(node, expansion, self.values, self._call)
        if only_moves(node):
            return self._moved(node)
        if target in CONCATS:
            return self._concatenated(node)
        values = {n: self.values[n] for n in node.all_input_nodes}
        through = passage(node, values, self.materialise)
        if through is None:
            plain = values if target in OF_VIEWS else {n: self._plain(v) for n, v in values.items()}
            return self._read(node, plain, lambda: block_shape(node, self.batch))
        return through.back(
            self._read(node, {**values, **through.values}, lambda: through.shape, through.rank)
        )

    def _read(self, node, values, shape, rank=None):
        """The operator that a call of the program is, with ``values`` for what it reads."""
        call = call_of(node, self.names.of(node), values, self.nodes, self.materialise, shape, rank)
        result = OPERATORS[target_of(node)](call)
        call.check_all_taken()
        if isinstance(result, list):
            return [self._add(each) for each in result]
        return self._add(result)

    def _moved(self, node):
        """Views of what only reshapes, permutes or selects, or the operand that is alike."""
        given = {n: self.values[n] for n in node.all_input_nodes}
        found = called(node, self.names.of(node), written(node, given, self.materialise))
        return [known(v) for v in found] if isinstance(found, list) else known(found)

    def _concatenated(self, node):
        """Channels side by side; anything else is a view, which may become an output as it is."""
        values = {n: self.values[n] for n in node.all_input_nodes}

        def read():
            plain = {n: self._plain(value) for n, value in values.items()}
            return self._read(node, plain, lambda: block_shape(node, self.batch))

        if not all(computed(value) for value in values.values()):
            return read()
        if joins_channels(node):
            # Pieces side by side are a last resort, as the host may join what is given to it.
            with suppress(FaultyModel), self.materialise.uncut():
                return read()
        found = self._moved(node)
        return replace(found, instead=read) if is_view(found) else found

    def _plain(self, value):
        if isinstance(value, list):
            return [self._plain(each) for each in value]
        return self.materialise(value) if is_view(value) else value

    def _is_unknown(self, value):
        sources = value.sources if is_view(value) else (value,)
        return any(source.name in self.unknown for source in sources)

    def _add(self, node):
        # A view that a reader gives back is of operators that are there.
        if not is_view(node):
            self.nodes[node.name] = node
        return node

    def _stand_in(self, node):
        """What stands for the result of an operator that has a fault, so that the walk goes on."""
        result = FloatInput(name=self.names.fresh(node.name), shape=())
        # Of integers and of other axes nothing is known that a reader could rely on.
        plain = not any(is_view(self.values.get(n)) for n in node.all_input_nodes)
        real = _is_tensor(node) and result_of(node).dtype == torch.float32
        if plain and real and fits(node, self.batch):
            return self._add(FloatInput(name=result.name, shape=block_shape(node, self.batch)))
        self.unknown.add(result.name)
        return self._add(result)

    def _outputs(self):
        """The network's outputs, and what the host computes of them; faults are noted."""
        found, outputs = host_part(self.program, self.cut), []
        no_result = Fault(Site("", ""), OUTPUT, "return nothing else")
        self.faults += [no_result] * found.constants
        for node, axis in found.tensors:
            value = self.values.get(node)
            try:
                if not computed(value):
                    self.faults.append(no_result)
                # Nothing is known of what stands in for a fault.
                elif not self._is_unknown(value):
                    outputs += outputs_of(node, value, axis, self.materialise)
            except FaultyModel as error:
                self.faults += error.faults
        return tuple(outputs), None if self.faults else found.program(self.values)


def _is_tensor(node):
    return isinstance(node.meta.get("val"), Tensor)
