"""Calls on constants, such as parametrizations make: each result is a constant of the network."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import fx

from qnn.frontend.faults import Fault, FaultyModel, site_of, target_of
from qnn.frontend.views import computed

# Places of the operands that give the values of a call's result; of the others only shape and type
# count, so that they may depend on the input.
VALUED: Mapping[str, tuple[int, ...]] = {
    **dict.fromkeys(("aten.type_as", "aten.view_as", "aten.expand_as", "aten.reshape_as"), (0,)),
    "aten.to": (0,),
    **dict.fromkeys(("aten.zeros_like", "aten.new_zeros", "aten.ones_like", "aten.new_ones"), ()),
    **dict.fromkeys(("aten.empty_like", "aten.new_empty"), ()),
    **dict.fromkeys(("aten.full_like", "aten.new_full", "aten.copy", "aten.fill"), (1,)),
}
# torch.export's own checks of types and values, without a result.
CHECKS = {"aten._assert_tensor_metadata", "aten._assert_scalar", "aten._assert_async"}
# Whoever asks for memory writes all of it, or reads what is no value of the network.
EMPTY = ("aten.empty", "aten.empty_like", "aten.new_empty", "aten.empty_strided")


def is_constant(node: fx.Node, values: Mapping[fx.Node, Any]) -> bool:
    """Whether no value of the call's result depends on the input."""
    return not any(computed(values[n]) for n in valued_operands(node))


def valued_operands(node: fx.Node) -> list[fx.Node]:
    """The operands that give the values of a call's result."""
    places = VALUED.get(target_of(node))
    if places is None:
        return node.all_input_nodes
    return [node.args[n] for n in places if isinstance(node.args[n], fx.Node)]


def evaluated(node: fx.Node, values: Mapping[fx.Node, Any]) -> Any:
    """The result of an operator on constants: what every run of the model would give.

    Raises
    ------
    FaultyModel
        The operator draws random numbers.
    """
    if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()):
        cure = "take them as an input, or leave them out"
        raise FaultyModel([Fault(site_of(node), "needs no random numbers", cure)])

    def held(operand):
        # Of what the host computes there is no value here.
        known = values[operand] is not None and not computed(values[operand])
        return values[operand] if known else _like(operand)

    args, kwargs = fx.map_arg((node.args, dict(node.kwargs)), held)
    with torch.no_grad():
        found = node.target(*args, **kwargs)
        return found.zero_() if target_of(node) in EMPTY else found


def _like(node):
    """A tensor of the shape and type of what ``node`` gives."""
    given = node.meta["val"]
    return torch.zeros(tuple(given.shape), dtype=given.dtype)
