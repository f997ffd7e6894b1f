"""Seconds of a piece of work that may be interrupted and taken up again."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from qnn.bench import files

# No more than 5 s are lost to a process that is killed, and a note is a small file.
EVERY = 5.0  # seconds between two notes on disk


@dataclass(eq=False)
class Clock:
    """Adds up seconds, and notes them in a file, so that a later process adds to them.

    What an interruption made a process do twice counts twice.
    """

    path: Path
    before: float = 0.0  # of earlier processes
    started: float | None = None
    noted: float = 0.0

    @staticmethod
    def at(path: Path) -> "Clock":
        """Goes on from what the file says; a file that cannot be read says 0."""
        try:
            # A clock is no result: a broken file costs its seconds, not the run.
            before = float(json.loads(path.read_text())["seconds"])
        except (OSError, ValueError, KeyError, TypeError):
            before = 0.0
        return Clock(path, before)

    @property
    def seconds(self) -> float:
        """The seconds of all processes so far."""
        return self.before + (0 if self.started is None else time.perf_counter() - self.started)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the seconds in the block; note them also when it is left by an error."""
        self.started = time.perf_counter()
        try:
            yield
        finally:
            self.before, self.started = self.seconds, None
            self._note()

    def tick(self) -> None:
        """Note the seconds, if the last note is old."""
        if self.seconds - self.noted >= EVERY:
            self._note()

    def _note(self):
        self.noted = self.seconds
        files.write(self.path, json.dumps({"seconds": self.noted}))
