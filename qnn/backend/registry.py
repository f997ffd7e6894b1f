"""The registry of back ends: each folder of ``qnn/backend`` is one.

Listing them reads names of folders only, so that the command line can name them without delay.
"""

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

import qnn.backend
from qnn.errors import CompileError

if TYPE_CHECKING:
    from qnn.backend.protocol import Backend

# The one that has hardware, simulators, boards and a driver.
DEFAULT = "array"  # what designs are compiled with where none is named


def names() -> tuple[str, ...]:
    """The names of all back ends, in alphabetical order."""
    # By folder: a new back end needs no line in a file that others edit.
    return tuple(sorted(m.name for m in iter_modules(qnn.backend.__path__) if m.ispkg))


def named(name: str) -> "Backend":
    """The back end called ``name``.

    Raises
    ------
    CompileError
        There is none.
    """
    if name not in names():
        raise CompileError(f"back end must be one of {', '.join(names())}, not '{name}'")
    return import_module(f"qnn.backend.{name}.backend").BACKEND
