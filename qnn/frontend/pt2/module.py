"""A serialized program as a module of PyTorch: its calls, with the layers that they came from."""

import keyword
import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch._ops import OpOverload

from qnn.frontend.faults import Fault, FaultyModel, site_of
from qnn.frontend.pt2.archive import AGAIN, Pt2Archive
from qnn.frontend.pt2.arguments import SCALAR_TYPES, argument
from qnn.frontend.pt2.nesting import nested
from qnn.frontend.pt2.operators import operator_called, short_name

WORD = re.compile(r"[a-z_]\w*", re.ASCII | re.IGNORECASE)  # of what stands in ``forward``'s text
PART = re.compile(r"\w+", re.ASCII)  # of a weight's name
GRADIENTS = "torch.ops.higher_order.wrap_with_set_grad_enabled"  # around calls; changes no value
MOST_DEEP = 8  # such calls inside of one another
# What an output of a program writes back: a part of its name, and where it says of what.
WRITTEN = {
    "buffer_mutation": "buffer_name",
    "parameter_mutation": "parameter_name",
    "user_input_mutation": "user_input_name",
}


class Malformed(Exception):
    """A part of a program that is not as PyTorch writes it; the text names the part."""


def module_of(archive: Pt2Archive, tensors: Mapping[str, Tensor]) -> fx.GraphModule:
    """The module, whose forward takes the program's tensors and gives what its model gave.

    Raises
    ------
    FaultyModel
        It calls what a file may not name; it names each.
    ModelError
        It is not as PyTorch writes it.
    """
    serialized = archive.program()
    try:
        return _Builder(serialized["graph_module"], tensors).module()
    except Malformed as error:
        raise archive.refused(f"a program needs {error}; {AGAIN}") from None
    # Any, of a file alone: what it lacks is not where PyTorch writes it, or of another kind.
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError) as error:
        part = f" (at {error!s:.60})" if isinstance(error, KeyError) else ""
        raise archive.refused(
            f"a program needs its parts as torch.export writes them, but has others{part}; {AGAIN}"
        ) from None


@dataclass
class _Builder:
    """One program on its way to a module.

    Members
    -------
    values : what each name of the program stands for: a node, or a constant input
    held : the node that reads each tensor, by the tensor's name in the model
    parameters : by the identity of the tensor, which tied weights share
    examples : each input, what it takes, and whether the number of images is fixed
    """

    program: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    root: nn.Module = field(default_factory=nn.Module)
    graph: fx.Graph = field(default_factory=fx.Graph)
    values: dict[str, Any] = field(default_factory=dict)
    held: dict[str, fx.Node] = field(default_factory=dict)
    parameters: dict[int, nn.Parameter] = field(default_factory=dict)
    examples: list[tuple[fx.Node, Tensor, bool]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def module(self) -> fx.GraphModule:
        signature = self.program["signature"]
        # Inputs first, as they are arguments of forward.
        specs = [(kind, spec) for ((kind, spec),) in map(dict.items, signature["input_specs"])]
        for kind, spec in sorted(specs, key=lambda each: each[0] != "user_input"):
            self._input(kind, spec)
        if not self.examples:
            raise Malformed("an input that is a tensor")
        self._calls(self.program["graph"], 0)
        if self.faults:
            raise FaultyModel(dict.fromkeys(self.faults))
        self._output(signature["output_specs"])
        # PyTorch writes its forward, of names that are words alone: nothing of the file is run.
        module = fx.GraphModule(self.root, self.graph, "ExportedModel")
        self._tell_shapes(module)
        return module.eval()

    def _input(self, kind, spec):
        if kind == "user_input":
            ((of, content),) = spec["arg"].items()
            # Others than tensors were fixed when the program was exported.
            if of == "as_tensor":
                self._given(content["name"])
            elif of.startswith("as_sym"):
                raise Malformed("inputs that are tensors, not numbers")
        elif kind in ("parameter", "buffer", "tensor_constant"):
            self.values[spec["arg"]["name"]] = self._read(spec[f"{kind}_name"], kind)
        elif kind != "constant_input":
            raise Malformed(f"inputs and tensors alone, not a {kind!s:.20}")

    def _given(self, name):
        if not WORD.fullmatch(name) or keyword.iskeyword(name) or name == "self":
            raise Malformed("inputs with names that are words")
        meta = self.program["graph"]["tensor_values"][name]
        sizes = [_size(each) for each in meta["sizes"]]
        if not sizes:
            raise Malformed("inputs with a batch axis")
        node = self.values[name] = self.graph.placeholder(name)
        example = torch.empty(sizes, dtype=SCALAR_TYPES[meta["dtype"]], device="meta")
        self.examples.append((node, example, "as_int" in meta["sizes"][0]))

    def _read(self, name, kind):
        if name not in self.held:
            if name not in self.tensors:
                raise Malformed(f"the tensor '{name!s:.60}', which is not there")
            self._register(name, kind)
            self.held[name] = self.graph.get_attr(name)
        return self.held[name]

    def _register(self, name, kind):
        """Give the module a tensor under its own name, in which layers are words and numbers."""
        *path, last = name.split(".")
        usual = all(PART.fullmatch(part) and not keyword.iskeyword(part) for part in (*path, last))
        module = self.root
        for part in path if usual else ():
            # What a module itself has of such a name is no layer.
            usual = usual and (part in module._modules or not hasattr(module, part))
            if usual:
                module._modules.setdefault(part, nn.Module())
                module = module._modules[part]
        if not usual or hasattr(module, last):
            raise Malformed(f"names of tensors that are layers', not '{name!s:.60}'")
        tensor = self.tensors[name]
        if kind == "parameter" and (tensor.is_floating_point() or tensor.is_complex()):
            # One tensor of the file is one parameter, however many names it has.
            held = self.parameters.setdefault(id(tensor), nn.Parameter(tensor.detach()))
            module.register_parameter(last, held)
        else:
            module.register_buffer(last, tensor)

    def _calls(self, graph, depth):
        for each in graph["nodes"]:
            target = each["target"]
            if target == GRADIENTS and depth < MOST_DEEP:
                self._inside(each, depth)
                continue
            called = operator_called(target)
            if called is None:
                self.faults.append(self._fault(each))
                continue
            args, kwargs = self._arguments(called, each["inputs"])
            node = self.graph.call_function(called, args, kwargs)
            node.meta |= _places(each.get("metadata") or {})
            self._name(node, each["outputs"])

    def _inside(self, call, depth):
        """The calls of a graph that a call runs as it is, with other names for what it is given."""
        _, graph, *given = [each["arg"] for each in call["inputs"]]
        inner = graph["as_graph"]["graph"]
        names = [each["as_tensor"]["name"] for each in inner["inputs"]]
        found = [argument(each, self.values) for each in given]
        # Names of inner graphs are their own: what is outside comes back behind them.
        outside, self.values = self.values, dict(zip(names, found, strict=True))
        self._calls(inner, depth + 1)
        inside, self.values = self.values, outside
        # What a fault has kept from being there is told, and nothing behind it is.
        if self.faults:
            raise FaultyModel(dict.fromkeys(self.faults))
        results = [argument(each, inside) for each in inner["outputs"]]
        for name, result in zip(_names(call["outputs"]), results, strict=True):
            self.values[name] = result

    def _arguments(self, called, inputs):
        args, kwargs = [], {}
        places = {}
        if isinstance(called, OpOverload):
            schema = called._schema.arguments
            places = {each.name: n for n, each in enumerate(schema) if not each.kwarg_only}
        for each in inputs:
            name, value = each["name"], argument(each["arg"], self.values)
            # Of Python's own operators the order alone says which operand is which.
            if not isinstance(called, OpOverload) or places.get(name) == len(args):
                args.append(value)
            elif name in {each.name for each in called._schema.arguments}:
                kwargs[name] = value
            else:
                raise Malformed(f"arguments that {called} has, not '{name!s:.40}'")
        return tuple(args), kwargs

    def _name(self, node, outputs):
        """Give what a call computes the names by which the program reads it."""
        if len(outputs) == 1 and "as_tensors" not in outputs[0]:
            ((kind, content),) = outputs[0].items()
            if kind != "as_none":
                self.values[content["name" if kind == "as_tensor" else "as_name"]] = node
            return
        for number, name in enumerate(_names(outputs)):
            if name is not None:
                item = self.graph.call_function(operator.getitem, (node, number))
                item.meta |= node.meta
                self.values[name] = item

    def _fault(self, call):
        node = self.graph.placeholder("unknown")
        node.meta |= _places(call.get("metadata") or {})
        site = site_of(node)
        for name in _names(call["outputs"]):
            if name is not None:
                self.values[name] = node
        name = short_name(str(call["target"]))
        return Fault(
            type(site)(site.path, f"{name:.60}", site.file, site.line),
            "is no operator that is read from a file",
            "give the module as module:factory, or compute it in operators of ATen",
        )

    def _output(self, specs):
        results = []
        for each, value in zip(specs, self.program["graph"]["outputs"], strict=True):
            ((kind, spec),) = each.items()
            if kind == "user_output":
                results.append(argument(value, self.values))
            elif kind in WRITTEN:
                name = spec[WRITTEN[kind]]
                held = self.values[name] if kind == "user_input_mutation" else self.held[name]
                written = argument(value, self.values)
                self.graph.call_function(torch.ops.aten.copy_.default, (held, written))
            else:
                raise Malformed(f"outputs of inference, not a {kind!s:.20}")
        self.graph.output(nested(self.program, results))

    def _tell_shapes(self, module):
        """Say what the module takes, as programs of torch.export and modules of ONNX files do."""
        if all(fixed for _, _, fixed in self.examples):
            for node, example, _ in self.examples:
                node.meta["val"] = example
        else:
            module.example_input_array = tuple(
                torch.zeros(1, *example.shape[1:], dtype=example.dtype)
                for _, example, _ in self.examples
            )


def _names(outputs):
    """The names of the values in outputs, in order; None where nothing reads one."""
    found = []
    for each in outputs:
        ((kind, content),) = each.items()
        if kind == "as_tensors":
            found += [tensor["name"] for tensor in content]
        else:
            found.append(None if kind == "as_none" else content.get("name", content.get("as_name")))
    return found


def _size(size):
    """A size of an input; of one that is free, as it was exported."""
    number = size["as_int"] if "as_int" in size else size["as_expr"]["hint"]["as_int"]
    if not isinstance(number, int) or not 0 < number < 1 << 31:
        raise Malformed("inputs with sizes that are known")
    return number


def _places(metadata):
    """Where in the user's model a call stood, as torch.export keeps it beside a node."""
    stack = {}
    for each in filter(None, metadata.get("nn_module_stack", "").split(";")):
        # Keys and paths may have commas in brackets, as arguments of a call that is named.
        key, path, kind = (*each.split(","), "", "")[:3] if each.count(",") <= 2 else (each, "", "")
        stack[key] = (path, kind)
    found = {"nn_module_stack": stack} if stack else {}
    return {**found, "stack_trace": metadata.get("stack_trace") or ""}
