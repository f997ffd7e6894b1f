"""Parts of a network that get terms together, and what they lose with more than were measured."""

from collections.abc import Mapping

from qnn.ptq.plans import CLOSE_TERMS
from qnn.quant.term_budget import Losses

# Each term of falling weight brings 11 dB and more, in squares.
NEXT_TERM = 12.0  # how many times less is lost with one more

Costs = Mapping[str, Mapping[int, float]]  # by layer and terms
Part = tuple[str, int]  # a layer, and the number of a group of its rows


def extended(losses: Losses, bits: Mapping[str, int]) -> dict[str, dict[int, float]]:
    """Losses of more terms than were measured, each as much less as a term brings.

    ``bits`` has those of each layer's codes.
    """
    result = {}
    for name, found in losses.items():
        whole = dict(found)
        for terms in range(max(found) + 1, CLOSE_TERMS[bits[name]] + 1):
            whole[terms] = whole[terms - 1] / NEXT_TERM
        result[name] = whole
    return result
