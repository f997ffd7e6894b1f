"""Results with names: a tuple, as of any network, whose parts have the keys of the user's model."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

# A nesting of whatever numbers things: dictionaries and lists of such, and None for nothing.
Structure = Any
MOST_NESTED = 32  # what walks through results calls itself for each level
KEY = r"[\w.-]+"  # what capture makes of the user's: arrays in files and columns have these names


def nested(structure: Structure, things: Sequence[Any]) -> Any:
    """``things``, one for each number of ``structure`` in order, nested as it is.

    A dictionary is a tuple with names, and a list is a tuple.
    """
    return _nested(structure, iter(things))


def _nested(structure, left):
    if isinstance(structure, Mapping):
        return named([_nested(each, left) for each in structure.values()], tuple(structure))
    if isinstance(structure, list):
        return tuple(_nested(each, left) for each in structure)
    return None if structure is None else next(left)


def leaves_of(structure: Structure) -> tuple[int, ...]:
    """The numbers of a structure, in order."""
    return tuple(leaf for _, leaf in _leaves(structure, ()))


def paths_of(structure: Structure) -> tuple[tuple[str | int, ...], ...]:
    """Keys and places that lead to each number of a structure."""
    return tuple(path for path, _ in _leaves(structure, ()))


def _leaves(structure, path) -> Iterator[tuple[tuple[str | int, ...], int]]:
    if isinstance(structure, Mapping | list):
        is_list = isinstance(structure, list)
        for key, each in enumerate(structure) if is_list else structure.items():
            yield from _leaves(each, (*path, key))
    elif structure is not None:
        yield path, structure


def check_structure(structure: Structure, values: int) -> None:
    """Return if a structure of a file is one of so many values.

    Raises
    ------
    ValueError
        It has anything else in it, or is deeper than any model's.
    """
    kinds: dict[type, Callable] = {dict: dict.values, list: iter}
    # Not by recursion, as a file may nest as deep as it likes.
    open_ = [(structure, 0)]
    while open_:
        each, depth = open_.pop()
        if depth > MOST_NESTED:
            raise ValueError(f"a host program nests its results at most {MOST_NESTED} deep")
        if type(each) is dict and not all(re.fullmatch(KEY, key) for key in each):
            raise ValueError("a host program has keys of letters, digits, '_', '.' and '-' alone")
        if type(each) in kinds:
            open_ += [(part, depth + 1) for part in kinds[type(each)](each)]
        elif each is not None and not (type(each) is int and 0 <= each < values):
            raise ValueError(f"a host program returns values before it, not {str(each)[:40]!r}")
    if not leaves_of(structure):
        raise ValueError("a host program returns a value, not none")


def named(results: Sequence[Any], names: Sequence[str | None]) -> tuple:
    """``results`` as a tuple, which has the ``names`` too if each result has one of its own.

    So ``found["aux"]``, ``found.aux``, ``found[1]`` and ``dict(found)`` all work where the model
    gave a dictionary or a named tuple.
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


def _has(found, key):
    # An array compares itself with a text, place by place.
    return key in found._fields if isinstance(key, str) else tuple.__contains__(found, key)


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
    # As of a dictionary, whose user asks whether ``"aux" in found``.
    "__contains__": _has,
    "keys": lambda found: found._fields,
    "items": _pairs,
}
