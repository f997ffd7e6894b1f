"""Stands in for Hypothesis so that a seed draws the same network under every release of it.

The strategies in ``tests`` are functions of ``draw``. Here ``draw`` takes its choices from a seeded
``random.Random``, whose ``random()`` Python promises to keep; Hypothesis promises no such thing.
"""

import functools
import importlib
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any


@dataclass(frozen=True)
class Strategy:
    """``pick`` gives a value from a source of random numbers."""

    pick: Callable[[random.Random], Any]


def integers(low: int, high: int) -> Strategy:
    """One of ``low`` to ``high``, both included."""
    return Strategy(lambda rng: low + int(rng.random() * (high - low + 1)))


def booleans() -> Strategy:
    """True or False."""
    return sampled_from((False, True))


def sampled_from(values) -> Strategy:
    """One of ``values``."""
    values = list(values)
    return Strategy(lambda rng: values[int(rng.random() * len(values))])


def lists(elements: Strategy, *, max_size: int) -> Strategy:
    """Up to ``max_size`` of ``elements``."""
    size = integers(0, max_size)
    return Strategy(lambda rng: [elements.pick(rng) for _ in range(size.pick(rng))])


def permutations(values) -> Strategy:
    """``values`` in any order."""
    values = list(values)
    return Strategy(lambda rng: sorted(values, key=lambda _: rng.random()))


def composite(function) -> Callable[..., Strategy]:
    """The strategy that ``function(draw, ...)`` describes."""

    @functools.wraps(function)
    def strategy(*args, **options):
        return Strategy(lambda rng: function(lambda s: s.pick(rng), *args, **options))

    return strategy


def module(name: str, *packages: str) -> ModuleType:
    """A copy of the module called ``name`` that finds these strategies in place of Hypothesis's.

    Parameters
    ----------
    packages : whose modules it draws with, of which it gets copies too
    """
    stand_in = ModuleType("hypothesis")
    stand_in.strategies = sys.modules[__name__]
    own = {"hypothesis", name, *packages}

    def copied(each):
        return each in own or each.startswith(tuple(f"{package}." for package in packages))

    # Who has imported them before keeps them, with the strategies that they found then.
    before = {each: sys.modules.pop(each) for each in list(sys.modules) if copied(each)}
    sys.modules["hypothesis"] = stand_in
    try:
        return importlib.import_module(name)
    finally:
        for each in [each for each in sys.modules if copied(each)]:
            del sys.modules[each]
        sys.modules.update(before)
