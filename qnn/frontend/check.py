"""The legality check of a float graph: what every pass, and the quantizer, may rely on."""

from qnn.errors import ModelError
from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.operator import FloatOperator


def check(graph: FloatGraph) -> None:
    """Return if the graph is legal.

    Raises
    ------
    ModelError
        The graph breaks a rule; the text names the node, what it needs, what it got and what to do.
    """
    if not graph.inputs or not graph.outputs:
        raise ModelError("a float graph needs an input and an output, but one is missing; add it")
    seen: dict[str, FloatOperator] = {}
    for node in graph.nodes:
        _check_names(node, seen)
        _check_shape(node, seen)
        seen[node.name] = node
    for place, source in enumerate(graph.inputs):
        if graph.nodes[place] is not source:
            _refuse(source, "to stand before all that is computed", "a place behind", "move it")
    for output in graph.outputs:
        if output.name not in seen:
            raise ModelError(f"output '{output.name}' needs a node of that name; add it")


def _check_names(node, seen):
    if node.name in seen:
        _refuse(node, "a name of its own", "that of an earlier node", "rename one")
    for name in node.inputs:
        if name not in seen:
            _refuse(node, f"'{name}' before it", "no such node", "sort the nodes by their use")


def _check_shape(node, seen):
    wanted = node.output_shape(tuple(seen[name].shape for name in node.inputs))
    if tuple(node.shape) != tuple(wanted):
        _refuse(node, f"the shape {tuple(wanted)} of its rule", tuple(node.shape), "correct it")


def _refuse(node, needs, got, do):
    raise ModelError(f"{node.kind} '{node.name}' needs {needs}, but got {got}; {do}")
