"""The methods of search, by name."""

from collections.abc import Callable
from importlib.util import find_spec

from qnn.errors import ArgumentError, ToolError
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

NEEDS = {"bayes": "botorch", "nsga2": "pymoo"}  # packages of the extra


def method_named(name: str) -> Method:
    """What proposes designs.

    Raises
    ------
    ArgumentError
        There is no such method.
    ToolError
        Its package is not installed.
    """
    if name not in METHODS:
        raise ArgumentError(f"method must be one of {', '.join(METHODS)}, not '{name}'")
    package = NEEDS.get(name)
    if package is not None and find_spec(package) is None:
        raise ToolError(
            f"--method {name} needs {package}; install it with pip install 'qnn[explore]', or take "
            f"--method random or greedy"
        )
    return METHODS[name]
