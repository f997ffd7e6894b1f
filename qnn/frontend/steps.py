"""Steps: simpler calls that give what one call of a program gives, and what is read of them."""

from collections.abc import Callable, MutableMapping
from typing import Any

from torch import fx
from torch.fx.experimental.proxy_tensor import make_fx


def traced(node: fx.Node, function: Callable[..., Any], **options: Any) -> fx.GraphModule:
    """The calls that ``function`` makes of the arguments of ``node``.

    Their placeholders are the nodes that ``node`` reads, in the order of ``all_input_nodes``.

    Parameters
    ----------
    options : of ``make_fx``
    """
    inputs = node.all_input_nodes

    def called(*given):
        by_node = dict(zip(inputs, given, strict=True))
        args, kwargs = fx.map_arg((node.args, dict(node.kwargs)), by_node.__getitem__)
        return function(*args, **kwargs)

    return make_fx(called, **options)(*(each.meta["val"] for each in inputs))


def calls_of(steps: fx.GraphModule) -> list[fx.Node]:
    """The steps without what they are given and give."""
    return [each for each in steps.graph.nodes if each.op == "call_function"]


def read_steps(
    steps: fx.GraphModule,
    node: fx.Node,
    values: MutableMapping[fx.Node, Any],
    read: Callable[[fx.Node], Any],
) -> Any:
    """What the steps of ``node`` give.

    Parameters
    ----------
    values : what was computed at each node, to which those of the steps are added
    read : gives what a call computes, of the ``values`` before it
    """
    given = iter([values[each] for each in node.all_input_nodes])
    for step in steps.graph.nodes:
        if step.op == "placeholder":
            values[step] = next(given)
        elif step.op == "get_attr":
            values[step] = getattr(steps, str(step.target))
        elif step.op == "call_function":
            values[step] = read(step)
    return fx.map_arg(steps.graph.output_node().args[0], values.__getitem__)
