"""A call of an exported program, read as the simpler calls that an expansion makes of it."""

from collections.abc import Callable
from typing import Any

from torch import fx
from torch.fx.experimental.proxy_tensor import make_fx

from qnn.frontend.expansions import EXPANSIONS
from qnn.frontend.faults import FaultyModel, module_of, site_of, target_of
from qnn.frontend.volumes import VOLUME, VOLUMES


def expands(node: fx.Node) -> bool:
    """Whether ``node`` is read as simpler calls."""
    return target_of(node) in EXPANSIONS or _is_of_volumes(node)


def expanded(node: fx.Node, values: dict[fx.Node, Any], read: Callable[[fx.Node], Any]) -> Any:
    """What the simpler calls give that ``node`` is read as.

    Parameters
    ----------
    values : what was computed at each node, to which those of the simpler calls are added
    read : gives what a call computes, of the ``values`` before it

    Raises
    ------
    FaultyModel
        One of them cannot be read; the fault is that of the whole call.
    """
    try:
        graph = _traced(node)
        placeholders = graph.find_nodes(op="placeholder")
        for inner, outer in zip(placeholders, node.all_input_nodes, strict=True):
            values[inner] = values[outer]
        for inner in graph.nodes:
            if inner.op == "call_function":
                values[inner] = read(inner)
    # The user knows nothing of what the call is read as.
    except FaultyModel as error:
        raise error.at(site_of(node)) from None
    return fx.map_arg(graph.output_node().args[0], lambda n: values[n])


def _traced(node):
    """The graph of the simpler calls, whose nodes have the notes of an exported program's."""
    outer = node.all_input_nodes
    held = [source.meta["val"] for source in outer]
    expansion = (VOLUMES if _is_of_volumes(node) else EXPANSIONS)[target_of(node)]

    def called(*given):
        by_node = dict(zip(outer, given, strict=True))
        args, kwargs = fx.map_arg((node.args, dict(node.kwargs)), lambda n: by_node[n])
        return expansion(*args, **kwargs)

    # On tensors without values, as the program itself was traced.
    with held[0].fake_mode:
        graph = make_fx(called)(*held).graph
    # Of several results, those that nobody reads.
    graph.eliminate_dead_code()
    path, _ = module_of(node)
    for inner in graph.nodes:
        inner.meta["stack_trace"] = node.meta.get("stack_trace")
        inner.meta["nn_module_stack"] = {path: (path, "")}
    # A module's own name is that of its result alone.
    (result, *_) = graph.output_node().all_input_nodes
    result.meta["nn_module_stack"] = node.meta.get("nn_module_stack")
    return graph


def _is_of_volumes(node):
    # Normalisations have one name for data of any axes.
    return target_of(node) in VOLUMES and node.args[0].meta["val"].dim() == VOLUME
