"""The protocol between the farm and its workers, whatever they are."""

from collections.abc import Sequence
from typing import Protocol


class WorkerLost(Exception):
    """A worker that has died; its text says how, in one line."""


class Worker(Protocol):
    """One worker, which carries out one item at a time."""

    def give(self, key: int, function: bytes, item: bytes) -> None:
        """Let it begin an item.

        Parameters
        ----------
        key : names the function, which goes to a worker once
        """
        ...

    def take(self) -> bytes | None:
        """The encoded answer that ``Crew.wait`` has said is there; None where it is ready to begin.

        Raises
        ------
        WorkerLost
            It has died.
        """
        ...

    def kill(self) -> None:
        """End it at once, with all that it has started."""
        ...


class Crew(Protocol):
    """What starts workers of one kind, and waits for them."""

    def hire(self) -> Worker:
        """Start a worker, which says when it is ready."""
        ...

    def wait(self, workers: Sequence[Worker], seconds: float | None) -> Sequence[Worker]:
        """Those that have something to take; none after so many seconds."""
        ...

    def dismiss(self, workers: Sequence[Worker]) -> None:
        """End workers and let those that work come to a safe point, for a few seconds at most."""
        ...

    def close(self) -> None:
        """Leave nothing behind."""
        ...
