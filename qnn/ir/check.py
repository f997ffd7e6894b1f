"""The legality check of an integer graph: what every reader of a graph may rely on."""

import numpy as np

from hw.spec.isa import codes
from qnn.errors import CompileError
from qnn.ir.graph import Concat, Conv, Graph, Input, MaxPool, Node, Shape
from qnn.quant.qtype import QType

MOST_SHIFT = 63


def check(graph: Graph) -> None:
    """Return if the graph is legal.

    Raises
    ------
    CompileError
        The graph breaks a rule; the text names the node, what it needs, what it got and what to do.
    """
    if not graph.nodes or not isinstance(graph.nodes[0], Input):
        raise CompileError("a graph needs its input as the first node; put it there")
    seen: dict[str, Node] = {}
    for node in graph.nodes:
        _check_name(node, seen)
        _check_one_input(node, seen)
        _check_operands(node, seen)
        _CHECKS[type(node)](node, seen)
        seen[node.name] = node
    _check_outputs(graph)


def window_shape(node: Conv | MaxPool, source: Shape) -> tuple[int, int]:
    """Height and width that ``node`` makes of an input of shape ``source``; 0 or less if none."""
    top, bottom, left, right = node.padding
    sizes = (source[1] + top + bottom, source[2] + left + right)
    return tuple(
        (size - dilation * (kernel - 1) - 1) // stride + 1
        for size, kernel, stride, dilation in zip(
            sizes, node.kernel, node.stride, node.dilation, strict=True
        )
    )


def _refuse(node, needs, got, do):
    kind = type(node).__name__.lower()
    raise CompileError(f"{kind} '{node.name}' needs {needs}, but got {got}; {do}")


def _check_name(node, seen):
    if not isinstance(node.name, str) or not node.name:
        _refuse(node, "a name", repr(node.name), "name it")
    if node.name in seen:
        _refuse(node, "a name of its own", "that of an earlier node", "rename one")


def _check_one_input(node, seen):
    if isinstance(node, Input) and seen:
        _refuse(node, "to be the first node", "a second input", "keep one")


def _check_operands(node, seen):
    for name in node.inputs:
        if name not in seen:
            _refuse(node, f"'{name}' before it", "no such node", "sort the nodes by their use")
        operand = seen[name]
        if isinstance(operand, Conv) and not operand.rounded:
            _refuse(
                node,
                "rounded operands",
                f"the unrounded conv '{name}'",
                "round it, or use it as an output only",
            )


def _check_input(node: Input, seen):
    _check_shape(node)
    _check_activation_type(node, node.type)
    if node.table is None:
        return
    wanted = (node.shape[0], 256)
    if node.table.shape != wanted or not np.issubdtype(node.table.dtype, np.integer):
        got = f"{node.table.dtype} {node.table.shape}"
        _refuse(node, f"a table of integers of shape {wanted}", got, "build it again")
    least, most = int(node.table.min()), int(node.table.max())
    _check_within(node, "a table", least, most, node.type)


def _check_conv(node: Conv, seen):
    _check_shape(node)
    _check_codes(node, seen[node.input].shape)
    _check_window(node, seen[node.input].shape)
    _check_epilogue_arrays(node)
    _check_skip(node, seen)
    _check_result(node)


def _check_codes(node, source):
    most = codes.most_index(node.weight_bits)
    if node.weight_bits not in codes.BITS:
        _refuse(node, f"weight_bits {codes.BITS_RANGE}", node.weight_bits, "quantize it again")
    if node.codes.dtype != np.int8 or node.codes.ndim != 5:
        got = f"{node.codes.dtype} of {node.codes.ndim} axes"
        _refuse(node, "int8 codes of 5 axes", got, "build it again")
    if node.groups < 1 or source[0] % node.groups or node.shape[0] % node.groups:
        needs = f"groups that divide {source[0]} inputs and {node.shape[0]} outputs"
        _refuse(node, needs, f"groups={node.groups}", "correct it")
    wanted = (node.shape[0], source[0] // node.groups)
    terms, *channels = node.codes.shape[:3]
    if tuple(channels) != wanted or not 1 <= terms <= 7 or not all(node.kernel):
        got = f"codes of shape {node.codes.shape}"
        needs = f"codes of shape (1 to 7, {wanted[0]}, {wanted[1]}, kernel height, kernel width)"
        _refuse(node, needs, got, "build it again")
    if int(node.codes.min()) < -most or int(node.codes.max()) > most:
        got = f"{node.codes.min()} to {node.codes.max()}"
        _refuse(node, f"codes from {-most} to {most}", got, "quantize it again")


def _check_epilogue_arrays(node):
    for name in ("left", "bias", "right", *(["skip_left"] if node.skip is not None else [])):
        array = getattr(node, name)
        if not isinstance(array, np.ndarray) or array.dtype != np.int64:
            got = getattr(array, "dtype", type(array).__name__)
            _refuse(node, f"int64 {name}", got, "build it again")
        if array.shape != (node.shape[0],):
            _refuse(node, f"{name} of shape ({node.shape[0]},)", array.shape, "build it again")
        if name != "bias" and not 0 <= int(array.min()) <= int(array.max()) <= MOST_SHIFT:
            got = f"{array.min()} to {array.max()}"
            do = "quantize it with other exponents"
            _refuse(node, f"{name} shifts from 0 to {MOST_SHIFT}", got, do)


def _check_skip(node, seen):
    if node.skip is None:
        if node.skip_left is not None:
            _refuse(node, "skip_left only with a skip", "skip_left alone", "remove it")
        return
    if seen[node.skip].shape != node.shape:
        got = f"{seen[node.skip].shape} of '{node.skip}'"
        _refuse(node, f"a skip of shape {node.shape}", got, "make the shapes equal")


def _check_result(node):
    if node.rounded:
        _check_activation_type(node, node.type)
        _check_within(node, "a clamp", node.low, node.high, node.type)
        return
    if not node.type.signed or not 24 <= node.type.bits <= 48:
        needs = "a signed type of 24 to 48 bits, as it is unrounded"
        _refuse(node, needs, node.type, "give it the epilogue's")
    if node.right.any():
        _refuse(node, "no right shift, as it is unrounded", int(node.right.max()), "shift nothing")


def _check_max_pool(node: MaxPool, seen):
    source = seen[node.input]
    _check_shape(node)
    _check_same_type(node, source)
    if node.shape[0] != source.shape[0]:
        _refuse(node, f"{source.shape[0]} channels", node.shape[0], "keep the channels")
    _check_window(node, source.shape)


def _check_concat(node: Concat, seen):
    if not node.inputs:
        _refuse(node, "operands", "none", "remove it")
    for name in node.inputs:
        _check_same_type(node, seen[name])
    shapes = [seen[name].shape for name in node.inputs]
    wanted = (sum(shape[0] for shape in shapes), *shapes[0][1:])
    if node.shape != wanted or any(shape[1:] != shapes[0][1:] for shape in shapes):
        got = f"{node.shape} of operands {', '.join(map(str, shapes))}"
        _refuse(node, "a shape that stacks its operands' channels", got, "make the shapes agree")


def _check_shape(node):
    whole = all(isinstance(size, int) and size > 0 for size in node.shape)
    if not isinstance(node.shape, tuple) or len(node.shape) != 3 or not whole:
        needs = "a shape of three sizes of at least 1"
        _refuse(node, needs, node.shape, "give it (channels, height, width)")


def _check_window(node, source):
    for name, count, least in (("stride", 2, 1), ("dilation", 2, 1), ("padding", 4, 0)):
        sizes = getattr(node, name)
        if len(sizes) != count or min(sizes) < least:
            needs = f"{name} of {count} sizes of at least {least}"
            _refuse(node, needs, sizes, "correct it")
    if min(node.kernel) < 1:
        _refuse(node, "a kernel of at least 1 x 1", node.kernel, "correct it")
    wanted = window_shape(node, source)
    if node.shape[1:] != wanted:
        needs = f"height and width {wanted}, from {source} of '{node.input}'"
        _refuse(node, needs, node.shape[1:], "correct its shape, kernel or padding")


def _check_activation_type(node, type: QType):
    if type.bits > 16:
        _refuse(node, "a type of 2 to 16 bits", type, "round it to fewer bits")


def _check_same_type(node, source):
    if source.type != node.type:
        got = f"{source.type} of '{source.name}'"
        _refuse(node, f"operands of its type {node.type}", got, "requantize the operand first")


def _check_within(node, what, low, high, type: QType):
    if not type.low <= low <= high <= type.high:
        needs = f"{what} within {type.low} to {type.high}"
        _refuse(node, needs, f"{low} to {high}", "clamp it to its type")


def _check_outputs(graph):
    if not graph.outputs:
        raise CompileError("a graph needs an output, but got none; name one")
    names = {node.name: node for node in graph.nodes}
    for output in graph.outputs:
        if output.name not in names:
            raise CompileError(
                f"output '{output.name}' needs a node of that name, but there is none; name a node"
            )
        shape = names[output.name].shape
        if np.prod(output.shape, dtype=int) != np.prod(shape, dtype=int):
            raise CompileError(
                f"output '{output.name}' needs as many values as its node's shape {shape}, but "
                f"got shape {output.shape}; correct it"
            )


_CHECKS = {Input: _check_input, Conv: _check_conv, MaxPool: _check_max_pool, Concat: _check_concat}
