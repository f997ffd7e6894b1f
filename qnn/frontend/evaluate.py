"""Calls on constants, such as parametrizations make: each result is a constant of the network."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import fx

from qnn.frontend.faults import Fault, FaultyModel, site_of


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
    args, kwargs = fx.map_arg((node.args, node.kwargs), lambda n: values[n])
    with torch.no_grad():
        return node.target(*args, **kwargs)
