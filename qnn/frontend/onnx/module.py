"""An ONNX graph as a module of PyTorch: a submodule for each node, called by the node's name."""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from keyword import iskeyword

import torch
from torch import Tensor, fx, nn

from qnn.frontend.onnx.batches import BatchCopies, BatchSizes, Planned
from qnn.frontend.onnx.call import OnnxCall
from qnn.frontend.onnx.graph import OnnxNode
from qnn.frontend.onnx.qonnx_quantizers import NAMES
from qnn.frontend.onnx.quantized import OF_INPUT
from qnn.frontend.onnx.walk import OnnxValue, results
from qnn.frontend.onnx.whole import of_inputs

# Nodes whose real constants are read as numbers.
BY_NUMBERS = ("Clip", "Pad", "Resize", "Upsample", "QuantizeLinear", "DequantizeLinear", *NAMES)
# Which mean something else of what the user gives.
OF_INPUTS = ("QuantizeLinear", "DequantizeLinear", *NAMES)
# What the text of ``forward``, which PyTorch writes, means something else by.
RESERVED = ("self", "torch", "getattr")


class NodeModule(nn.Module):
    """One node: its operator, and the constants that it reads.

    Parameters
    ----------
    operands : constants; None for what is given when it runs, left out, or among ``sizes``
    sizes : operands that grow with the number of images, by their place
    """

    def __init__(
        self,
        node: OnnxNode,
        operands: Sequence[Tensor | None],
        sizes: Mapping[int, BatchSizes | BatchCopies],
    ):
        super().__init__()
        self.node, self.sizes, self.numbers = node, sizes, {}
        self.exact = False  # whether a quantizer rounds
        self.given = tuple(
            bool(name) and operands[place] is None and place not in sizes
            for place, name in enumerate(node.inputs)
        )
        for place, each in enumerate(operands):
            if each is None:
                continue
            self.numbers[place] = OnnxValue(each.detach()).numbers
            if _learns(node, each):
                self.register_parameter(_held(place), each)
            else:
                self.register_buffer(_held(place), each)

    def forward(self, images: int, *computed: Tensor) -> Tensor | tuple[Tensor, ...]:
        """What the node gives for its computed operands, of so many images."""
        rest = iter(computed)
        tensors, numbers = [], []
        for place, is_given in enumerate(self.given):
            sizes = self.sizes.get(place)
            known = self.numbers.get(place) if sizes is None else sizes.at(images)
            held = getattr(self, _held(place), None)
            # Whoever reads them takes the numbers; a tensor only says that they are there.
            held = sizes.tensor(images) if sizes is not None else held
            tensors.append(next(rest) if is_given else held)
            numbers.append(known)
        constants = [not each for each in self.given]
        found = results(OnnxCall(self.node, tensors, numbers, constants, self.exact))
        return found[0] if len(found) == 1 else tuple(found)


def _learns(node: OnnxNode, constant: Tensor) -> bool:
    """Whether a constant is a weight; others are bounds, scales, places and single numbers."""
    return constant.is_floating_point() and constant.dim() > 0 and node.kind not in BY_NUMBERS


def _held(place):
    # Layers' weights are their second operand, and their biases the third.
    return {1: "weight", 2: "bias"}.get(place, f"operand{place}")


def module_of(plan: Planned) -> fx.GraphModule:
    """The module, whose forward takes the graph's inputs and gives a tensor or a tuple of them."""
    walk, root, graph = plan.walk, nn.Module(), fx.Graph()
    made: dict[str, fx.Node] = {}
    shared: dict[str, nn.Parameter] = {}
    words: set[str] = set()
    for given in walk.graph.inputs:
        made[given.name] = graph.placeholder(_argument(given.title or given.name, words))
        if plan.images is not None:
            made[given.name].meta["val"] = walk.values[given.name].tensor
    first, moved = next(iter(made.values())), of_inputs(walk.graph)
    images = graph.call_function(torch.ops.aten.sym_size.int, (first, 0))
    for node in _needed(walk):
        operands = [_operand(plan, node, name, shared) for name in node.inputs]
        sizes = {n: plan.sizes[each] for n, each in enumerate(node.inputs) if each in plan.sizes}
        if node.kind in OF_INPUTS and node.inputs[0] in moved:
            node = replace(node, attributes={**node.attributes, OF_INPUT: True})
        if node.kind == "Squeeze" and plan.images is None:
            node = _squeezed(node, walk.values[node.inputs[0]].tensor.shape)
        step, name = NodeModule(node, operands, sizes), _free_name(root, node.name)
        root.add_module(name, step)
        computed = [
            made[name] for name, is_given in zip(node.inputs, step.given, strict=True) if is_given
        ]
        call = graph.call_module(name, (images, *computed))
        # torch 2.6 runs a graph node by node, and asks the nodes where they are.
        call.meta["nn_module_stack"] = {name: (name, f"{NodeModule.__module__}.NodeModule")}
        names = [name for name in node.outputs if name]
        for number, output in enumerate(names):
            several = len(names) > 1
            made[output] = (
                graph.call_function(operator.getitem, (call, number)) if several else call
            )
    found = tuple(_result(graph, root, plan, made, name) for name in walk.graph.outputs)
    graph.output(found if len(found) > 1 else found[0])
    # Its forward is written by PyTorch, of the graph's own names alone: nothing of the file is run.
    module = fx.GraphModule(root, graph, "OnnxModel")
    if plan.images is None:
        module.example_input_array = tuple(
            torch.zeros((1, *value.shape[1:]), dtype=value.dtype)
            for value in (walk.values[given.name].tensor for given in walk.graph.inputs)
        )
    return module.eval()


def _squeezed(node: OnnxNode, shape: Sequence[int]) -> OnnxNode:
    """The node with its axes written out: of one image, its axis would be squeezed, too."""
    if node.inputs[1:] or "axes" in node.attributes:
        return node
    axes = [n for n, size in enumerate(shape) if size == 1]
    return replace(node, attributes={**node.attributes, "axes": axes})


def _needed(walk) -> list[OnnxNode]:
    """The steps that a result is computed from, in order."""
    wanted, found = set(walk.graph.outputs), []
    for node in reversed(walk.steps):
        if wanted.intersection(node.outputs):
            wanted.update(node.inputs)
            found.append(node)
    return found[::-1]


def _operand(plan, node, name, shared):
    value = plan.walk.values[name] if name else None
    if value is None or not value.constant or name in plan.sizes:
        return None
    if not _learns(node, value.tensor):
        return value.tensor
    # One parameter for all nodes that read it: a layer that is shared stays one.
    if name not in shared:
        shared[name] = nn.Parameter(value.tensor)
    return shared[name]


def _result(graph, root, plan, made, name):
    walk = plan.walk
    if name in made and name in plan.moved:
        # Images first, as everything else has them.
        return graph.call_function(torch.movedim, (made[name], plan.moved[name], 0))
    if name in made:
        return made[name]
    # A result that no input decides, which whoever reads the module refuses.
    root.register_buffer(held := _free_name(root, _word(name)), walk.values[name].tensor)
    return graph.get_attr(held)


def _free_name(root, name):
    """A name that neither another layer, nor a module itself, nor Python has."""
    while hasattr(root, name) or hasattr(_any_module(), name) or iskeyword(name):
        name += "_"
    return name


@cache
def _any_module():
    module = fx.GraphModule(nn.Module(), fx.Graph())
    module.example_input_array = ()
    return module


def _argument(name, taken):
    """A name of an input that Python takes for an argument of ``forward``."""
    word = _word(name)
    while word in taken:
        word += "_"
    taken.add(word)
    return word


def _word(name):
    word = "".join(each if f"x{each}".isidentifier() else "_" for each in name)
    usual = word[:1].isalpha() and not iskeyword(word) and word not in RESERVED
    return word if usual else f"input_{word}"
