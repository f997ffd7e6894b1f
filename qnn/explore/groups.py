"""Layers that get terms together, so that a space has few dimensions."""

from collections.abc import Mapping

from qnn.explore.path import path_of
from qnn.explore.profile import Profile

# Gaussian processes of some dozens of designs tell no more dimensions apart.
GROUPS = 8  # with the array's sizes and cores, under 20 dimensions


def grouped(profile: Profile, most: int = GROUPS) -> tuple[tuple[str, ...], ...]:
    """The layers in groups of about equal cost, those first whose second term gains most.

    What a further term takes off a layer's loss for each product decides the order in which
    ``qnn quantize`` gives terms; neighbours in it would get theirs one after the other.
    """
    order = sorted(profile.losses, key=lambda name: (-gain(profile, name), name))
    groups = []
    # A group ends where it has its share of the cost of all that is left, and holds a layer at
    # least: so there are as many as may be.
    for left in range(min(most, len(order)), 0, -1):
        share, taken = _cost(profile, order) / left, 1
        while len(order) - taken >= left and _cost(profile, order[:taken]) < share:
            taken += 1
        groups.append(tuple(order[:taken]))
        order = order[taken:]
    return tuple(groups)


def _cost(profile, names) -> int:
    return sum(profile.products[name] for name in names)


def gain(profile: Profile, name: str) -> float:
    """What a second term takes off the loss of a layer, for each of its products."""
    found = profile.losses[name]
    return (found["1"] - found["2"]) / max(profile.products[name], 1)


def path(profile: Profile, groups: tuple[tuple[str, ...], ...], terms: tuple[int, ...]):
    """Which group gets its next term first, as ``target=`` gives them."""
    names = [str(number) for number in range(len(groups))]
    layers = dict(zip(names, groups, strict=True))
    losses: Mapping[str, Mapping[int, float]] = {
        name: {k: sum(profile.losses[layer][str(k)] for layer in layers[name]) for k in terms}
        for name in names
    }
    costs: Mapping[str, Mapping[int, float]] = {
        name: {k: float(k * sum(profile.products[layer] for layer in layers[name])) for k in terms}
        for name in names
    }
    return path_of(losses, costs)
