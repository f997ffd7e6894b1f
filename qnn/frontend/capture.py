"""A float graph from any ``nn.Module``, through torch.export."""

import io
import logging
import math
import operator
import warnings
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field

import torch
from torch import Tensor, fx, nn

from qnn.errors import ModelError
from qnn.frontend.aten import OPERATORS, SUPPORTED, Call
from qnn.frontend.float_graph import Graph, Input, Node
from qnn.ir.graph import Output

OUTPUT = (
    "model output needs to be a tensor, or a tuple of tensors, computed from the input; return "
    "nothing else"
)
CHECKS = {"aten._assert_tensor_metadata"}  # torch.export's own, without a result
BATCH = 2  # captured with this many images, so that no dimension of 1 is taken for the batch


def capture(model: nn.Module, example: Tensor) -> Graph:
    """The float graph of ``model`` in evaluation mode; the model itself is left as it was.

    Parameters
    ----------
    example : what the model takes, (batch, channels, height, width) or (batch, features)

    Raises
    ------
    ModelError
        The model refuses the example, cannot be exported, or does what integers of shifts and
        adds cannot; the text names the layer.
    """
    if example.dim() not in (2, 4):
        raise ModelError(
            f"model input needs shape (batch, channels, height, width) or (batch, features), "
            f"not {tuple(example.shape)}; reshape the data"
        )
    _check_parameters(model)
    example = example[:1].expand(BATCH, *example.shape[1:]).contiguous()
    with _evaluating(model), torch.no_grad(), _quiet():
        _try(model, example)
        program = _export(model, example)
    return _Reader(program).graph()


def _check_parameters(model):
    for name, parameter in model.named_parameters():
        if parameter.dtype != torch.float32:
            raise ModelError(
                f"model needs float32 parameters, but '{name}' is {parameter.dtype}; give "
                f"model.float()"
            )


@contextmanager
def _evaluating(model):
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def _quiet():
    """No warnings and no log: torch.export prints the whole program beside its error."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _first_line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def _try(model, example):
    try:
        result = model(example)
    except Exception as error:  # any: it is the user's code
        raise ModelError(
            f"model cannot take input of shape {tuple(example.shape[1:])} (without batch): "
            f"{_first_line(error)}; give data of the shape that the model takes"
        ) from error
    results = result if isinstance(result, tuple | list) else (result,)
    if not results or not all(isinstance(item, Tensor) for item in results):
        raise ModelError(OUTPUT)


def _export(model, example):
    try:
        return torch.export.export(model, (example,), strict=False).run_decompositions({})
    except Exception as error:  # any: torch.export raises many kinds
        raise ModelError(
            f"model cannot be captured by torch.export: {_first_line(error)}; make its forward "
            f"independent of the data's values"
        ) from error


@dataclass
class _Reader:
    """One walk over an exported program."""

    program: torch.export.ExportedProgram
    nodes: dict[str, Node] = field(default_factory=dict)
    values: dict[fx.Node, str | Tensor | None] = field(default_factory=dict)

    def graph(self) -> Graph:
        outputs = ()
        for node in self.program.graph.nodes:
            if node.op == "placeholder":
                self.values[node] = self._placeholder(node)
            elif node.op == "call_function":
                self.values[node] = self._call(node)
            elif node.op == "output":
                outputs = self._outputs(node)
        return Graph(_reached(self.nodes, outputs), outputs)

    def _placeholder(self, node):
        signature = self.program.graph_signature
        for table in (signature.inputs_to_parameters, signature.inputs_to_buffers):
            if node.name in table:
                return self._constant(table[node.name])
        if node.name in signature.inputs_to_lifted_tensor_constants:
            return self._constant(signature.inputs_to_lifted_tensor_constants[node.name])
        return self._add(Input(name=node.name, shape=_shape(node, node.name)))

    def _constant(self, name):
        state = self.program.state_dict
        return (state[name] if name in state else self.program.constants[name]).detach().cpu()

    def _call(self, node):
        if node.target is operator.getitem:
            return self.values[node.args[0]] if node.args[1] == 0 else None
        if _target(node) in CHECKS:
            return None
        tensors = [self.values[n] for n in node.all_input_nodes]
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
            shape=lambda: _shape(node, name),
        )
        result = OPERATORS[target](call)
        return result if isinstance(result, str) else self._add(result)

    def _add(self, node):
        self.nodes[node.name] = node
        return node.name

    def _name(self, node):
        """The module's path; with the operator behind it, if a larger module computes it."""
        stack = list((node.meta.get("nn_module_stack") or {"": ("", "")}).values())
        path, kind = stack[-1]
        path = path.split("@")[0]
        leaf = str(kind).removeprefix("<class '").startswith("torch.nn.modules.")
        called = _target(node).split(".")[-1].strip("_")
        name = path if leaf and path else f"{path}.{called}".strip(".")
        return _unique(name, self.nodes)

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


def _unique(name, taken):
    count, result = 0, name
    while result in taken:
        count += 1
        result = f"{name}_{count}"
    return result


def _reached(nodes, outputs):
    """Nodes that an output needs, and the input, in their order."""
    needed = {output.name for output in outputs}
    for name in reversed(nodes):
        if name in needed:
            needed.update(nodes[name].inputs)
    return tuple(n for n in nodes.values() if n.name in needed or isinstance(n, Input))
