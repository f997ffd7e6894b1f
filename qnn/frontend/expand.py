"""A call of an exported program, read as the simpler calls that an expansion makes of it."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import fx

from qnn.frontend.expansions import EXPANSIONS
from qnn.frontend.expansions_of_pads import is_lowest, pad_by_copies
from qnn.frontend.expansions_of_products import OF_SEVERAL, PRODUCTS
from qnn.frontend.expansions_of_views import OF_TWO, OF_VECTORS, is_small
from qnn.frontend.faults import FaultyModel, module_of, site_of, target_of
from qnn.frontend.steps import read_steps, traced
from qnn.frontend.views import computed, is_view
from qnn.frontend.volumes import VOLUME, VOLUMES
from qnn.frontend.writes import is_masked, masked


def expansion_of(node: fx.Node, values: Mapping[fx.Node, Any]) -> Callable[..., Any] | None:
    """The function of PyTorch that a call is read as; None: a reader takes it as it is.

    Parameters
    ----------
    values : what was computed at each node before
    """
    target = target_of(node)
    if is_masked(node, values):
        return masked
    if is_lowest(node):
        return pad_by_copies
    if _is_of_volumes(node):
        return VOLUMES[target]
    if target in OF_VECTORS and _is_vector(node.args[0], values):
        return OF_VECTORS[target]
    if target in OF_TWO and all(computed(values.get(n)) for n in node.args[:2]):
        # Of two large matrices each value is a product of its own.
        return OF_TWO[target] if is_small(*(n.meta["val"].shape for n in node.args[:2])) else None
    if target in OF_SEVERAL and sum(computed(values[n]) for n in node.all_input_nodes) > 1:
        return OF_SEVERAL[target]
    return EXPANSIONS.get(target, PRODUCTS.get(target))


def expanded(
    node: fx.Node,
    expansion: Callable[..., Any],
    values: dict[fx.Node, Any],
    read: Callable[[fx.Node], Any],
) -> Any:
    """What the calls of ``expansion`` give, which ``node`` is read as.

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
        # On tensors without values, as the program itself was traced.
        with node.all_input_nodes[0].meta["val"].fake_mode:
            steps = traced(node, expansion)
    except FaultyModel as error:
        raise error.at(site_of(node)) from None
    # Of several results, those that nobody reads.
    steps.graph.eliminate_dead_code()
    return read_as(steps, node, values, read)


def read_as(
    steps: fx.GraphModule,
    node: fx.Node,
    values: dict[fx.Node, Any],
    read: Callable[[fx.Node], Any],
) -> Any:
    """What ``steps`` give, which ``node`` is read as; the rest is as for ``expanded``."""
    _note(steps, node)
    try:
        return read_steps(steps, node, values, read)
    # The user knows nothing of what the call is read as.
    except FaultyModel as error:
        raise error.at(site_of(node)) from None


def _is_vector(operand, values):
    """Whether an operand lies along the channels of one pixel, in another shape."""
    value = values.get(operand)
    return is_view(value) and all(source.shape[1:] == (1, 1) for source in value.sources)


def _note(steps, node):
    """Give the steps the notes that nodes of an exported program have."""
    path, _ = module_of(node)
    for inner in steps.graph.nodes:
        inner.meta["stack_trace"] = node.meta.get("stack_trace")
        inner.meta["nn_module_stack"] = {path: (path, "")}
    # A module's own name is that of its result alone.
    (result, *_) = steps.graph.output_node().all_input_nodes
    result.meta["nn_module_stack"] = node.meta.get("nn_module_stack")


def _is_of_volumes(node):
    # Normalisations have one name for data of any axes.
    return target_of(node) in VOLUMES and node.args[0].meta["val"].dim() == VOLUME
