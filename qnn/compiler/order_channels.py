"""Pass: channels that take as many terms lie together, where their order is free.

An instruction computes a group of channels, in as many terms as the longest of them takes. So the
channels of a tensor are put in the order of their terms, and whoever reads the tensor follows. What
the order of a tensor is decides no value of it.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from hw.spec.config import SvpeConfig
from qnn.compiler.compilation import Compilation
from qnn.compiler.segments import groups
from qnn.ir.families import families
from qnn.ir.graph import Graph
from qnn.ir.ops import Conv, Operator

Order = tuple[int, ...]  # which channel of the tensor stands at each place


def order_channels(state: Compilation) -> Compilation:
    """The state with a graph of ordered channels, and the orders of the tensors that have one."""
    if state.config.pe != "shift":  # a multiplier takes the whole weight in one step
        return state
    orders = free_orders(state.graph, state.config)
    return replace(state, graph=ordered(state.graph, orders), orders=orders)


def free_orders(graph: Graph, config: SvpeConfig) -> dict[str, Order]:
    """The orders that save steps, by the name of the tensor."""
    orders: dict[str, Order] = {}
    for family in families(graph):
        order = None if family.fixed else _best_order(family.makers, config)
        if order is not None:
            orders |= dict.fromkeys(family.names, order)
    return orders


def ordered(graph: Graph, orders: Mapping[str, Order]) -> Graph:
    """The same network with the channels of some tensors in other orders."""
    return replace(graph, nodes=tuple(_ordered(node, orders) for node in graph.nodes))


def _best_order(makers: list[Conv], config: SvpeConfig) -> Order | None:
    """The order in which ``makers`` take the fewest steps; None if that is the one there is."""
    if all(len(conv.codes) == 1 for conv in makers):
        return None
    needs = [(_steps_of_a_term(conv), _terms_needed(conv)) for conv in makers]
    weighted = sum(steps * terms for steps, terms in needs)
    count = len(weighted)
    # Both ways round: a last group of few channels is the place for few long ones, or short ones.
    # Of channels that need as much in all, those of the same layers lie together.
    keys = [*(terms for _, terms in needs), weighted]
    tried = [np.arange(count), np.lexsort(keys), np.lexsort([-key for key in keys])]
    costs = [_steps(needs, order, config) for order in tried]
    best = int(np.argmin(costs))  # of equal ones the first: no order where none saves
    return tuple(tried[best].tolist()) if best else None


def _terms_needed(conv: Conv) -> np.ndarray:
    """For each channel, the terms up to its last code that is not zero, at least one."""
    used = conv.codes.any(axis=(2, 3, 4))  # terms, outputs
    last = len(used) - used[::-1].argmax(0)
    return np.where(used.any(0), last, 1)


def _steps_of_a_term(conv: Conv) -> int:
    """Steps of one term and group over the whole map, but for a factor that all layers share."""
    _, _, inputs, height, width = conv.codes.shape
    return inputs * height * width * conv.shape[1] * conv.shape[2]


def _steps(needs, order, config) -> int:
    shares = groups((len(order),), config.lanes, config.rows)
    return sum(
        steps * int(terms[order[list(share.channels)]].max())
        for steps, terms in needs
        for share in shares
    )


def _ordered(node: Operator, orders: Mapping[str, Order]) -> Operator:
    """The operator with what it has for each channel in the orders of its tensors."""
    if isinstance(node, Conv):
        return _ordered_conv(node, orders)
    own = orders.get(node.name)
    # Of others, the epilogue alone differs from channel to channel.
    epilogue = None if own is None else getattr(node, "epilogue", None)
    return node if epilogue is None else replace(node, epilogue=epilogue.taken(list(own)))


def _ordered_conv(conv: Conv, orders: Mapping[str, Order]) -> Conv:
    """The convolution with outputs, and inputs where it mixes them, in their tensors' orders."""
    own, source = orders.get(conv.name), orders.get(conv.inputs[0])
    if own is not None:
        conv = replace(conv, codes=conv.codes[:, own, ...], epilogue=conv.epilogue.taken(list(own)))
    if source is not None and not conv.depthwise:
        conv = replace(conv, codes=conv.codes[:, :, source, ...])
    return conv
