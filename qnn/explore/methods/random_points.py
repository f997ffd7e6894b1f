"""Random search: any designs that are not known yet."""

from qnn.explore.space import Vector
from qnn.explore.state import SearchState


def propose(state: SearchState, count: int) -> list[Vector]:
    """Up to ``count`` designs; fewer where hardly any are left."""
    return state.drawn(state.random(), count)
