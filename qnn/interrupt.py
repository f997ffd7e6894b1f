"""Ctrl-C that waits for a safe point, so that long work is on disk before it stops."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """Work that was asked to stop, and has saved what it had; its text says where."""


class _Requests:
    """What signals have asked of this process; ``listening`` is whether a block wants to know."""

    listening = False
    asked = False


@contextmanager
def stoppable(wanted: bool = True) -> Iterator[Callable[[], bool]]:
    """Give a function that says whether the work inside the block should save and stop.

    The first SIGINT or SIGTERM asks for it. Another SIGINT raises ``KeyboardInterrupt`` at once.
    Blocks may lie inside each other. Outside of the main thread, where Python takes no signals,
    nothing ever asks.

    Parameters
    ----------
    wanted : False for work that saves nothing, which signals then end as ever
    """
    if _Requests.listening:
        yield lambda: _Requests.asked
        return
    if not wanted or threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    # Who ignores a signal, as `nohup` does for some, goes on ignoring it.
    held = {number: signal.getsignal(number) for number in SIGNALS}
    taken = {n: h for n, h in held.items() if h not in (signal.SIG_IGN, None)}
    _Requests.listening, _Requests.asked = True, False
    for number in taken:
        signal.signal(number, _ask)
    try:
        yield lambda: _Requests.asked
    finally:
        _Requests.listening = False
        for number, handler in taken.items():
            signal.signal(number, handler)


def _ask(number, _frame):
    # A launcher may send SIGTERM after the terminal's SIGINT: that is no second Ctrl-C.
    if _Requests.asked and number == signal.SIGINT:
        raise KeyboardInterrupt
    _Requests.asked = True
