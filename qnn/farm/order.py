"""What goes to a worker and what comes back, as bytes: the same for processes and for Ray.

Bytes are pickled by one process of ours and read by another one that it has started, over a pipe or
by Ray. They never lie in a file, and nobody else's are read. Functions go by name, so that a worker
runs the code that is installed where it runs.
"""

import time
import traceback
import warnings
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.reduction import ForkingPickler
from typing import Any

from qnn.errors import ArgumentError, QnnError, QnnWarning, first_line, one_line


@dataclass(frozen=True)
class ItemAnswer:
    """What a function gave for an item.

    Members
    -------
    failure : what it raised, in one line; None where it gave a result
    trace : of an error that is no refusal, where it was raised, for whoever looks for its cause
    warned : texts of ``QnnWarning``, for the one who waits
    """

    result: Any = None
    failure: str | None = None
    trace: str | None = None
    seconds: float = 0.0
    warned: tuple[str, ...] = ()


def encoded(what: str, value: Any) -> bytes:
    """``value`` as bytes for a worker.

    Raises
    ------
    ArgumentError
        It is no function of a module, or no plain data.
    """
    named = value
    while isinstance(named, partial):
        named = named.func
    if getattr(named, "__module__", None) == "__main__":
        raise ArgumentError(
            f"farm: {what} must be of a module that workers can import, not of the script that "
            f"runs; move it into a module"
        )
    try:
        return bytes(ForkingPickler.dumps(value))
    except Exception as error:  # any: objects have pickling of their own
        raise ArgumentError(
            f"farm: {what} must be a function of a module or plain data, but cannot be sent to a "
            f"worker: {first_line(error)}"
        ) from None


def decoded(data: bytes) -> Any:
    """The value of ``encoded`` bytes."""
    return ForkingPickler.loads(data)


class Workplace:
    """Where a worker carries out items: it keeps the last function, which came with its data."""

    def __init__(self):
        self._key, self._function = None, None

    def learn(self, key: int, function: bytes) -> None:
        """Take the function that the items which follow are for; a known one stays as it is."""
        if key == self._key:
            return
        try:
            self._function = decoded(function)
        except Exception as error:  # any: of the user's modules
            # Told for each item, as any other failure of the function is.
            self._function = _Unusable(_told(error))
        self._key = key

    def carry_out(self, item: bytes) -> bytes:
        """The encoded answer of the function to an encoded item."""
        started = time.perf_counter()
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("default")
            warnings.simplefilter("always", QnnWarning)
            found = self._tried(item)
        texts = tuple(str(w.message) for w in said if issubclass(w.category, QnnWarning))
        answer = replace(found, seconds=time.perf_counter() - started, warned=texts)
        try:
            return bytes(ForkingPickler.dumps(answer))
        except Exception as error:  # any: results have pickling of their own
            lacks = f"its result cannot be sent back: {_told(error)}"
            return bytes(ForkingPickler.dumps(replace(answer, result=None, failure=lacks)))

    def _tried(self, item):
        try:
            return ItemAnswer(self._function(decoded(item)))
        except Exception as error:  # any: it is the item's failure, and the worker goes on
            trace = None if isinstance(error, QnnError) else traceback.format_exc()
            return ItemAnswer(failure=_told(error), trace=trace)


class _Unusable:
    """Stands for a function that this worker cannot import."""

    def __init__(self, reason):
        self._reason = reason

    def __call__(self, _item):
        raise QnnError(f"a worker cannot import the function: {self._reason}")


def _told(error) -> str:
    """What an error says, in one line; of one that is no refusal, with its kind."""
    text = " ".join(one_line(error).split())
    return text if isinstance(error, QnnError) else f"{type(error).__name__}: {text}"
