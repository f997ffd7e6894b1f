"""What evaluates an item of a search, in this process or in a worker of a farm."""

import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from qnn.explore.evaluate import evaluate
from qnn.explore.evaluation import Evaluated, Fidelity, RoundedNetwork
from qnn.explore.network import FloatNetwork, Formats
from qnn.explore.point import Point
from qnn.explore.profile import Profile
from qnn.farm.done import Done


@dataclass(frozen=True)
class NetworkSource:
    """How a process comes to have the network: images are read there, and not sent.

    Members
    -------
    load : a function of a module that gives the network of ``arguments``
    """

    load: Callable[..., FloatNetwork]
    arguments: tuple[Hashable, ...]


# Of one search at a time: a network with its images takes a gigabyte.
@lru_cache(maxsize=1)
def network_of(origin: NetworkSource) -> FloatNetwork:
    """The network, which a process loads and calibrates once."""
    return origin.load(*origin.arguments)


def work(
    origin: NetworkSource,
    profiles: tuple[tuple[Formats, Profile], ...],
    item: tuple[Point, Fidelity, RoundedNetwork | None],
) -> Evaluated:
    """The figures of an item's point at its fidelity, with its rounded network if that is known."""
    point, fidelity, known = item
    profile = dict(profiles)[point.weight_bits, point.activation_bits]
    return evaluate(network_of(origin), profile, point, fidelity, known)


def one_by_one(
    function: Callable[[Any], Any], items: Iterable[Any], *, until: float | None = None
) -> Iterator[Done]:
    """Each item with its result, computed in this process when it is asked for.

    Parameters
    ----------
    until : by ``time.monotonic``, after which no item begins: one that is under way ends
    """
    for index, item in enumerate(items):
        if until is not None and time.monotonic() >= until:
            return
        begun = time.perf_counter()
        result = function(item)
        yield Done(index, item, result, None, 1, time.perf_counter() - begun)
