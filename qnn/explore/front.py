"""Designs that no other one beats in everything; how good a set of them is; which to take."""

from collections.abc import Sequence

import numpy as np

from qnn.errors import ArgumentError
from qnn.explore.evaluation import Evaluated
from qnn.explore.goals import Goals

PICKS = ("knee", "fastest", "smallest")


def non_dominated(utilities: np.ndarray) -> np.ndarray:
    """Which rows of (points, objectives) no other row is at least as good as, and better in one.

    Of equal rows the first stays.
    """
    count = len(utilities)
    kept = np.ones(count, dtype=bool)
    for n in range(count):
        as_good = (utilities >= utilities[n]).all(1)
        better = as_good & (utilities > utilities[n]).any(1)
        equal_before = (utilities[:n] == utilities[n]).all(1).any() if n else False
        kept[n] = not better.any() and not equal_before
    return kept


def hypervolume(utilities: np.ndarray, reference: np.ndarray) -> float:
    """The volume that points dominate above a reference, exact for any number of objectives.

    It slices along the last objective, and so takes time that grows fast with the objectives.
    """
    points = np.asarray(utilities, dtype=float).reshape(-1, len(reference))
    points = points[(points > reference).all(1)]
    if not len(points):
        return 0.0
    # Slices of what is dominated would be cut for nothing.
    points = points[non_dominated(points)]
    if points.shape[1] == 1:
        return float(points.max() - reference[0])
    if points.shape[1] == 2:
        return _area(points, reference)
    order = np.argsort(-points[:, -1], kind="stable")
    points, volume = points[order], 0.0
    for n in range(len(points)):
        below = points[n + 1, -1] if n + 1 < len(points) else reference[-1]
        height = points[n, -1] - below
        # Of points that are equally high one slice has all.
        if height > 0:
            volume += height * hypervolume(points[: n + 1, :-1], reference[:-1])
    return volume


def _area(points, reference) -> float:
    total, top = 0.0, reference[1]
    for x, y in points[np.argsort(-points[:, 0], kind="stable")]:
        if y > top:
            total, top = total + (x - reference[0]) * (y - top), y
    return float(total)


def front(evaluations: Sequence[Evaluated], goals: Goals) -> list[Evaluated]:
    """The designs that keep all constraints and are dominated by none, by the first objective."""
    found = [each for each in evaluations if goals.feasible(each)]
    if not found:
        return []
    utilities = np.array([goals.utilities(each) for each in found])
    best = [each for each, kept in zip(found, non_dominated(utilities), strict=True) if kept]
    return sorted(best, key=lambda each: (-goals.utilities(each)[0], each.point.key))


def pick(designs: Sequence[Evaluated], goals: Goals, which: str) -> Evaluated:
    """The design that a word means, of a front that is not empty.

    The knee is the one nearest to the best of each objective, where each goes from 0, the worst of
    the front, to 1.

    Raises
    ------
    ArgumentError
        No word of ``PICKS``.
    """
    if which == "fastest":
        return max(designs, key=lambda each: each.value("fps"))
    if which == "smallest":
        return min(designs, key=lambda each: each.value("lut"))
    if which != "knee":
        raise ArgumentError(f"pick needs one of {', '.join(PICKS)}, not '{which}'")
    utilities = np.array([goals.utilities(each) for each in designs])
    least, most = utilities.min(0), utilities.max(0)
    shares = (utilities - least) / np.where(most > least, most - least, 1.0)
    # What all of them have alike is no distance.
    shares[:, most == least] = 1.0
    return designs[int(np.square(1 - shares).sum(1).argmin())]
