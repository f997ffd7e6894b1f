"""PyTorch's own steps for a call that has no constructor here, from its table of decompositions."""

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

from torch import Tensor, fx
from torch._decomp import get_decompositions
from torch.fx.experimental.proxy_tensor import make_fx

from qnn.frontend.outputs import is_finished

# Of the nodes that are made: how many tables lie between them and the user's call.
DEPTH = "qnn_decomposition_depth"
MOST = 3  # such tables: steps that lead back to each other would have no end
# Where in the user's model a step is, for names and errors.
PLACE = ("nn_module_stack", "stack_trace")


def steps_of(node: fx.Node) -> fx.GraphModule | None:
    """The calls that give what ``node`` gives; None: PyTorch has no other way for it.

    Their placeholders are the nodes that ``node`` reads, in the order of ``all_input_nodes``.
    """
    inputs, depth = node.all_input_nodes, node.meta.get(DEPTH, 0)
    held = [each.meta.get("val") for each in inputs]
    if depth >= MOST or not all(isinstance(each, Tensor) for each in held):
        return None

    def called(*given):
        by_node = dict(zip(inputs, given, strict=True))
        args, kwargs = fx.map_arg((node.args, node.kwargs), by_node.__getitem__)
        return node.target(*args, **kwargs)

    try:
        # What PyTorch composes is taken apart without a table; this one adds the call's own entry.
        table = get_decompositions([node.target])
        steps = make_fx(called, decomposition_table=table, tracing_mode="fake")(*held)
    except Exception:  # any: PyTorch's own, of calls that cannot be traced by shapes alone
        return None
    if any(each.target is node.target for each in _calls(steps)):
        return None
    for each in steps.graph.nodes:
        each.meta |= {key: node.meta[key] for key in PLACE if key in node.meta}
        each.meta[DEPTH] = depth + 1
    return steps


def _calls(steps: fx.GraphModule) -> list[fx.Node]:
    return [each for each in steps.graph.nodes if each.op == "call_function"]


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
    # Of a function that the host finishes, and that is no step, only outputs know.
    if steps is None or any(map(is_finished, _calls(steps))):
        return None
    given = iter([values[each] for each in node.all_input_nodes])
    try:
        for step in steps.graph.nodes:
            values[step] = _value(step, steps, values, given, read)
    except Exception:  # any: steps may be what nothing here expects
        return None
    return values[steps.graph.output_node()]


def _value(
    step: fx.Node,
    steps: fx.GraphModule,
    values: MutableMapping[fx.Node, Any],
    given: Iterator,
    read: Callable[[fx.Node], Any],
) -> Any:
    if step.op == "placeholder":
        return next(given)
    if step.op == "get_attr":
        return getattr(steps, str(step.target))
    if step.op == "output":
        return fx.map_arg(step.args[0], values.__getitem__)
    return read(step)
