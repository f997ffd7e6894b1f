"""The legality check of an integer graph: what every reader of a graph may rely on."""

from math import prod

from qnn.errors import CompileError
from qnn.ir.graph import Graph, Output, network_tensors
from qnn.ir.ops import Input, Operator
from qnn.ir.ops.operator import refuse
from qnn.ir.shape import AXES, fits_joins, fits_output, meaning_of, order_of


def check(graph: Graph) -> None:
    """Return if the graph is legal.

    Raises
    ------
    CompileError
        The graph breaks a rule; the text names the node, what it needs, what it got and what to do.
    """
    if not graph.nodes or not isinstance(graph.nodes[0], Input):
        raise CompileError("a graph needs its input as the first node; put it there")
    seen: dict[str, Operator] = {}
    for node in graph.nodes:
        # In this order each check may rely on those before it: names, place, operands, fields.
        _check_name(node, seen)
        _check_place(node, seen)
        _check_operands(node, seen)
        node.check(graph.sources(node))
        seen[node.name] = node
    _check_outputs(graph)


def _check_name(node, seen):
    if not isinstance(node.name, str) or not node.name:
        refuse(node, "a name", repr(node.name), "name it")
    if node.name in seen:
        refuse(node, "a name of its own", "that of an earlier node", "rename one")


def _check_place(node, seen):
    if not isinstance(node, Input):
        return
    # Inputs stand first, so that their order, which drivers and callers count on, is that of the
    # nodes, and a pass that inserts nodes cannot change it.
    for earlier in seen.values():
        if not isinstance(earlier, Input):
            got = f"{earlier.kind} '{earlier.name}' before it"
            refuse(node, "to stand before all that is computed", got, "move it up")


def _check_operands(node, seen):
    for name in node.inputs:
        if name not in seen:
            refuse(node, f"'{name}' before it", "no such node", "sort the nodes by their use")
        if not seen[name].rounded:
            refuse(
                node,
                "rounded operands",
                f"the unrounded {seen[name].kind} '{name}'",
                "round it, or use it as an output only",
            )


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
        # A shape () is one value, whose product is 1 as well.
        if prod(output.shape) != prod(shape):
            raise CompileError(
                f"output '{output.name}' needs as many values as its node's shape {shape}, but "
                f"got shape {output.shape}; correct it"
            )
        _check_axes(output, shape)
    if not fits_joins([o.shape for o in graph.outputs], [o.axes for o in graph.outputs]):
        raise CompileError(
            "outputs that are one tensor need to follow each other and to differ along its axis "
            "alone, but do not; correct their order, shapes or axes"
        )
    if graph.host is None:
        return
    try:
        graph.host.shapes([tensor.shape for tensor in network_tensors(graph.outputs)])
    except ValueError as error:
        raise CompileError(
            f"a graph needs a host program that its outputs fit, but got {error}; correct it"
        ) from None


def _check_axes(output: Output, shape):
    axes = output.axes
    if axes is None:
        return
    if meaning_of(axes) is None and order_of(axes) is None:
        raise CompileError(
            f"output '{output.name}' needs axes {', '.join(AXES)} or an order, but got {axes!r}; "
            f"name one of them, or none"
        )
    if not fits_output(shape, axes, output.shape):
        meaning = meaning_of(axes) or "the sizes of its values and their order"
        raise CompileError(
            f"output '{output.name}' needs a shape of axes {axes}, {meaning}, of its node's "
            f"shape {shape}, but got shape {output.shape}; correct it"
        )
