"""Results with names: a tuple, as of any network, whose parts have the keys of the user's model."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any


def named(results: Sequence[Any], names: Sequence[str | None]) -> tuple:
    """``results`` as a tuple, which has the ``names`` too if each result has one of its own.

    So ``found["aux"]``, ``found.aux``, ``found[1]`` and ``dict(found)`` all work where the model
    gave a dictionary or a named tuple; keys of nested ones are joined by dots, ``scores.0``.
    """
    if None in names or len(set(names)) < len(names):
        return tuple(results)
    return _class_of(tuple(names))(*results)


@cache
def _class_of(names: tuple[str, ...]) -> type:
    """One class for each tuple of names, as trees of PyTorch are alike only if their classes are.

    ``collections.namedtuple`` takes no names that are no words of Python.
    """
    # By its one base and its methods PyTorch takes it for a named tuple.
    return type("NamedResults", (tuple,), {"_fields": names, **_METHODS})


def _new(cls, *results):
    return tuple.__new__(cls, results)


def _pairs(found) -> Iterator[tuple[str, Any]]:
    return zip(found._fields, found, strict=True)


def _item(found, key):
    if not isinstance(key, str):
        return tuple.__getitem__(found, key)
    if key not in found._fields:
        raise KeyError(f"no output is called '{key}'; they are {', '.join(found._fields)}")
    return found[found._fields.index(key)]


def _attribute(found, name):
    if name not in found._fields:
        raise AttributeError(f"no output is called '{name}'; they are {', '.join(found._fields)}")
    return found[found._fields.index(name)]


def _shown(found):
    return f"({', '.join(f'{name}={result!r}' for name, result in _pairs(found))})"


_METHODS = {
    "__new__": _new,
    "_make": classmethod(lambda cls, results: cls(*results)),
    "_asdict": lambda found: dict(_pairs(found)),
    "__getitem__": _item,
    "__getattr__": _attribute,
    "__repr__": _shown,
    # For copies and other processes, as the class stands in no module.
    "__reduce__": lambda found: (named, (tuple(found), found._fields)),
    # As of a dictionary.
    "keys": lambda found: found._fields,
    "items": _pairs,
}
