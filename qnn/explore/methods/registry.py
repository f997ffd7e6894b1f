"""The methods of search, by name."""

from collections.abc import Callable

from qnn.errors import ArgumentError
from qnn.explore.methods import bayes, greedy, nsga2, random_points
from qnn.explore.space import Vector
from qnn.explore.state import SearchState

Method = Callable[[SearchState, int], list[Vector]]
METHODS: dict[str, Method] = {
    "bayes": bayes.propose,
    "random": random_points.propose,
    "nsga2": nsga2.propose,
    "greedy": greedy.propose,
}


def method_named(name: str) -> Method:
    """What proposes designs.

    Raises
    ------
    ArgumentError
        There is no such method.
    """
    if name not in METHODS:
        raise ArgumentError(f"method must be one of {', '.join(METHODS)}, not '{name}'")
    return METHODS[name]
