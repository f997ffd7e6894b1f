"""PyTorch's own steps for a call that has no constructor here, from its table of decompositions."""

from collections.abc import Callable, MutableMapping
from typing import Any

from torch import Tensor, fx
from torch._decomp import get_decompositions

from qnn.frontend.steps import calls_of, read_steps, traced

# Of the nodes that are made: how many tables lie between them and the user's call.
DEPTH = "qnn_decomposition_depth"
MOST = 3  # such tables: steps that lead back to each other would have no end
# Where in the user's model a step is, for names and errors.
PLACE = ("nn_module_stack", "stack_trace")


def steps_of(node: fx.Node) -> fx.GraphModule | None:
    """The calls that give what ``node`` gives; None: PyTorch has no other way for it.

    Their placeholders are the nodes that ``node`` reads, in the order of ``all_input_nodes``.
    """
    held, depth = [each.meta.get("val") for each in node.all_input_nodes], node.meta.get(DEPTH, 0)
    if depth >= MOST or not all(isinstance(each, Tensor) for each in held):
        return None
    try:
        # What PyTorch composes is taken apart without a table; this one adds the call's own entry.
        table = get_decompositions([node.target])
        steps = traced(node, node.target, decomposition_table=table, tracing_mode="fake")
    except Exception:  # any: PyTorch's own, of calls that cannot be traced by shapes alone
        return None
    if any(each.target is node.target for each in calls_of(steps)):
        return None
    for each in steps.graph.nodes:
        each.meta |= {key: node.meta[key] for key in PLACE if key in node.meta}
        each.meta[DEPTH] = depth + 1
    return steps


def by_steps(
    node: fx.Node, values: MutableMapping[fx.Node, Any], read: Callable[[fx.Node], Any]
) -> Any:
    """What the steps of ``node`` give, if ``read`` takes all of them; else None.

    Parameters
    ----------
    values : what nodes give, which gets the steps too
    read : gives what a call gives, of what is in ``values``
    """
    steps = steps_of(node)
    if steps is None:
        return None
    try:
        return read_steps(steps, node, values, read)
    except Exception:  # any: steps may be what nothing here expects
        return None
