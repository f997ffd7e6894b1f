"""Pass: weights of several terms in codes whose terms weigh as the array's do; no value changes."""

from dataclasses import replace

import numpy as np

from hw.spec.config import SvpeConfig
from hw.spec.isa.codes import term_shift
from qnn.compiler.compilation import Compilation
from qnn.ir.graph import Graph


def recode_weights(state: Compilation) -> Compilation:
    """The state with every weight in codes that the array's terms are made for."""
    return replace(state, graph=recoded(state.graph, state.config))


def recoded(graph: Graph, config: SvpeConfig) -> Graph:
    """The same graph with the same weights, in terms of ``config.term_shift``.

    Multipliers take whole integers, so that nothing changes for them.
    """
    if config.pe != "shift":
        return graph
    made = {conv.name: _recoded(conv, config.weight_bits) for conv in graph.convs}
    return replace(graph, nodes=tuple(made.get(node.name, node) for node in graph.nodes))


def _recoded(node, weight_bits):
    terms, own, wanted = len(node.codes), term_shift(node.weight_bits), term_shift(weight_bits)
    # A narrower code is the same code in more bits; it is the next term that must follow it.
    if terms == 1 or own == wanted:
        return node
    codes = _widened(node.codes, own - wanted) if own > wanted else _digits(node.integers, terms)
    return replace(node, codes=codes.astype(np.int8), weight_bits=weight_bits)


def _widened(codes, places):
    """Each code shifted by what the array moves too little by: only 5 bits have room, and enough.

    Of 4-bit codes and seven terms the greatest index becomes 7 + 6, of at most 15.
    """
    more = places * np.arange(len(codes) - 1, -1, -1).reshape(-1, 1, 1, 1, 1)
    return codes + np.sign(codes) * more


def _digits(weights, terms):
    """Digits of -1, 0, 1 or 2 in base 4, highest first: as indices of codes they are themselves.

    Weights of so many 2-bit terms are below ``2**terms``, which half as many digits and one hold.
    """
    rest, found = np.abs(weights), []
    for _ in range(terms):
        digit = (rest + 1) % 4 - 1
        rest = (rest - digit) // 4
        found.insert(0, np.sign(weights) * digit)
    return np.stack(found)
