"""What became of one item."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Done:
    """An item that has ended: with a result, or with one line that says why there is none.

    Members
    -------
    index : of the item in what was run, from 0
    result : what the function gave; None of an item that failed
    failure : in one line; None of an item that did not fail
    tries : workers that began it: more than 1 where some died
    seconds : of the function, by the clock of the worker
    trace : of a failure that is no refusal of ours, where the function raised it
    """

    index: int
    item: Any
    result: Any
    failure: str | None
    tries: int
    seconds: float
    trace: str | None = None
