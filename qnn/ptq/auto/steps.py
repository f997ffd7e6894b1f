"""The steps of a search, told as they end with how long each took."""

import time
from collections.abc import Callable


class Steps:
    """Tells of steps.

    Parameters
    ----------
    report : is told each step in a line
    """

    def __init__(self, report: Callable[[str], None]):
        self.report = report
        self.begun = self._told = time.monotonic()

    @property
    def spent(self) -> float:
        """Seconds since the first step began."""
        return time.monotonic() - self.begun

    def say(self, text: str) -> None:
        """Tell of a step that has just ended."""
        now = time.monotonic()
        self.report(f"{text} ({now - self._told:.1f} s)")
        self._told = now
