"""The greedy of ``target=``: terms go where they gain most for their cost, on each array in turn.

The steps of that path and the arrays, by their lanes for their LUTs, are both walked from coarse to
fine, so that the first designs already span both.
"""

from collections.abc import Iterator

import numpy as np

from qnn.explore.choices import TERMS
from qnn.explore.front import non_dominated
from qnn.explore.groups import path
from qnn.explore.space import Vector
from qnn.explore.state import SearchState


def propose(state: SearchState, count: int) -> list[Vector]:
    """The next ``count`` designs; none when all steps on all arrays are known."""
    return state.new(_walk(state), count)


def _walk(state) -> Iterator[Vector]:
    space = state.space
    terms = space.values[TERMS]
    walked = path(state.profile, space.groups, terms)
    steps = [
        tuple(terms.index(found[str(number)]) for number in range(len(space.groups)))
        for found in (walked.terms(count) for count in range(len(walked.more) + 1))
        # Some terms between two of those that a space has are none of it.
        if all(k in terms for k in found.values())
    ]
    arrays = worthwhile(state)
    by_array, by_step = halves(len(arrays)), halves(len(steps))
    for number in range(len(steps) * len(arrays)):
        turn, place = divmod(number, len(arrays))
        # A whole turn of arrays with one step each would leave most terms untried for long.
        step = by_step[(turn + place) % len(steps)]
        yield (*steps[step], *arrays[by_array[place]])


def worthwhile(state: SearchState) -> list[Vector]:
    """Hardware that no other of the space beats in both lanes and LUTs, the smallest first."""
    space = state.space
    zeros = (0,) * len(space.groups)
    lanes = [space.lanes((*zeros, *each)) for each in space.hardware]
    luts = [space.found[each]["lut"].value for each in space.hardware]
    kept = non_dominated(np.stack([np.log(lanes), -np.log(luts)], 1))
    best = [each for each, good in zip(space.hardware, kept, strict=True) if good]
    return sorted(best, key=lambda each: space.found[each]["lut"].value)


def halves(count: int) -> list[int]:
    """0 to count - 1, both ends first, then what halves the widest gap."""
    order = [0, count - 1] if count > 1 else [0] * count
    gaps = [(0, count - 1)]
    while gaps:
        low, high = gaps.pop(0)
        middle = (low + high) // 2
        if low < middle < high:
            order.append(middle)
            gaps += [(low, middle), (middle, high)]
    return order
