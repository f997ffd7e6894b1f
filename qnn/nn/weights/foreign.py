"""Placeholders for objects of a checkpoint that are no tensors: they hold state, and do nothing.

Training frameworks save hyperparameters, paths and numbers of NumPy beside the weights. PyTorch's
reader of weights refuses a file for them. With a placeholder allowed under each such name it reads
the tensors, and no code of those classes is imported, found or called.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch


@dataclass(eq=False)
class Placeholder:
    """An object of another program: the name of its class, and the state that it was saved with."""

    class_name: str
    state: object = None


def pickled_module(content: object) -> str | None:
    """The class of a whole ``nn.Module`` that the content of a checkpoint is, or has, if any."""
    inside = content.values() if isinstance(content, Mapping) else ()
    for value in (content, *inside):
        is_object = isinstance(value, Placeholder) and isinstance(value.state, Mapping)
        if is_object and "_modules" in value.state:
            return value.class_name
    return None


@contextmanager
def placeholders(names: Iterable[str]) -> Iterator[None]:
    """Let PyTorch's reader of weights put a placeholder where an object of such a class stands."""
    with torch.serialization.safe_globals([(_stand_in(name), name) for name in names]):
        yield


def _stand_in(name):
    """A class that gives a placeholder, whatever it is called or filled with."""

    def make(_class, *_arguments, **_named):
        # PyTorch's reader sets items of plain dictionaries alone, which such classes extend.
        if name.lower().endswith(("dict", "box")):
            return OrderedDict()
        made = object.__new__(stand_in)
        Placeholder.__init__(made, name)
        return made

    def set_state(self, state):
        self.state = state

    # A class for each name: the reader asks whether an object's very class is allowed.
    members = {"__new__": make, "__init__": _ignore, "__setstate__": set_state}
    stand_in = type("StandIn", (Placeholder,), members)
    return stand_in


def _ignore(_self, *_arguments, **_named):
    """Take whatever the class was called with: it is of no interest."""
