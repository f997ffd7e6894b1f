"""What the user gets of a network's outputs: parts joined, the host's steps, the nesting."""

from collections.abc import Mapping, Sequence
from itertools import count
from types import ModuleType
from typing import Any

import numpy as np

from qnn.host.program import HostProgram
from qnn.ir.shape import joined


def host_results(
    parts: Sequence[Any],
    axes: Sequence[str | None],
    host: HostProgram | None,
    xp: ModuleType = np,
) -> Any:
    """What the user's model gives, nested as it nests it.

    Parameters
    ----------
    parts : reals of each output in its axes, (images, ...) float64
    axes : of each output
    xp : ``torch`` where the parts are its tensors
    """
    whole = joined(parts, axes, xp.concatenate)
    return nested_as(host, whole if host is None else host.values(whole, host.results, xp))


def nested_as(host: HostProgram | None, results: Sequence[Any]) -> Any:
    """``results`` in the nesting of the user's model: without any, one alone or a tuple."""
    if host is not None:
        return host.nested(results)
    return results[0] if len(results) == 1 else tuple(results)


def host_scores(
    parts: Sequence[Any],
    axes: Sequence[str | None],
    host: HostProgram | None,
    xp: ModuleType = np,
) -> tuple[Any, ...]:
    """The scores of the results, in order, see ``HostProgram.scores``."""
    whole = joined(parts, axes, xp.concatenate)
    return whole if host is None else tuple(host.values(whole, host.scores, xp))


def as_tuple(results: Any) -> tuple:
    """Results of a network as a tuple, also of one alone."""
    return results if isinstance(results, tuple) else (results,)


def array_names(
    names: Sequence[str], axes: Sequence[str | None], host: HostProgram | None
) -> tuple[str, ...]:
    """A name for the array of each output: the user's, or the operator's; no two are the same.

    Parameters
    ----------
    names : of the operators
    axes : of each output
    """
    parts = _parts_of(names, axes)
    known = {}
    if host is not None:
        labels = host.names([each[0] for each in parts])
        # What the user gets as the network gives it has the user's name, the first one.
        known = dict(reversed([*zip(host.scores, labels, strict=True)]))
    # What has several parts has the user's name as a whole alone.
    wanted = [known.get(n, p[0]) if len(p) == 1 else p for n, p in enumerate(parts)]
    found: dict[str, None] = {}
    for each in wanted:
        for name in (each,) if isinstance(each, str) else each:
            # One operator may be several outputs, in other shapes.
            free = (f"{name}.{number}" for number in count(2))
            found[name if name not in found else next(n for n in free if n not in found)] = None
    return tuple(found)


def labels_of(
    names: Sequence[str], axes: Sequence[str | None], host: HostProgram | None
) -> Mapping[str, tuple[str, ...]]:
    """What each operator's values are in what the user's model gives: keys and places, dotted.

    Nothing, where the model gives one tensor alone.

    Parameters
    ----------
    names : of the operators
    axes : of each output
    """
    parts = _parts_of(names, axes)
    labels = tuple(map(str, range(len(parts)))) if host is None else host.labels
    found: dict[str, dict[str, None]] = {name: {} for name in names}
    if labels in ((), ("",), ("0",)):
        return dict.fromkeys(found, ())
    for tensor, part in enumerate(parts):
        places = (tensor,) if host is None else host.results_of(tensor)
        for name in part:
            # One operator may be several outputs.
            found[name] |= dict.fromkeys(labels[place] for place in places)
    return {name: tuple(each) for name, each in found.items()}


def _parts_of(names, axes):
    """The operators that give each of the network's tensors."""
    return joined([(name,) for name in names], axes, lambda each, _: sum(each, ()))
