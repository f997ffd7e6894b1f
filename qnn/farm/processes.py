"""Workers that are processes of this machine."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait

from qnn.farm.crew import WorkerLost
from qnn.farm.interpreter import python_environment
from qnn.farm.threads import thread_settings
from qnn.farm.worker import SAFE_SECONDS

REAP_SECONDS = 5.0  # for a process whose end was seen: it takes milliseconds


class ProcessCrew:
    """Starts fresh interpreters: what a fork inherits of libraries' threads may hang by itself.

    Parameters
    ----------
    threads : that each computes with
    """

    def __init__(self, threads: int):
        self._environment = python_environment(thread_settings(threads))

    def hire(self) -> "ProcessWorker":
        """Start a worker."""
        return ProcessWorker(self._environment)

    def wait(
        self, workers: Sequence["ProcessWorker"], seconds: float | None
    ) -> list["ProcessWorker"]:
        """Those that have something to take."""
        ready = wait([worker.connection for worker in workers], seconds)
        return [worker for worker in workers if worker.connection in ready]

    def dismiss(self, workers: Sequence["ProcessWorker"]) -> None:
        """End workers; those that work come to a safe point first, if it takes a few seconds."""
        try:
            for worker in workers:
                worker.connection.close()
            # A worker that does not end ends itself then; a second more is for a busy machine.
            until = time.monotonic() + SAFE_SECONDS + 1
            for worker in workers:
                with suppress(subprocess.TimeoutExpired):
                    worker.process.wait(max(0, until - time.monotonic()))
        # Also when a second Ctrl-C ends the wait.
        finally:
            for worker in workers:
                worker.kill()

    def close(self) -> None:
        """Nothing is left of processes."""


class ProcessWorker:
    """A process that runs ``qnn.farm.worker``, in a session of its own.

    So a terminal's Ctrl-C reaches this process alone, which then ends its workers.
    """

    def __init__(self, environment: Mapping[str, str]):
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "qnn.farm.worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=environment,
                stdin=subprocess.DEVNULL,
                # Standard output is for results, which only this process has.
                stdout=2,
                start_new_session=True,
            )
        self.connection = Connection(ours.detach())
        self._key: int | None = None  # of the function that it has

    def give(self, key: int, function: bytes, item: bytes) -> None:
        """Let it begin an item."""
        known, self._key = self._key == key, key
        try:
            self.connection.send((key, None if known else function, item))
        except OSError:
            raise WorkerLost(self._end()) from None

    def take(self) -> bytes | None:
        """The answer that is there; None of one that is ready to begin."""
        try:
            return self.connection.recv_bytes() or None
        except (EOFError, OSError):
            raise WorkerLost(self._end()) from None

    def kill(self) -> None:
        """End it at once, with all that it has started."""
        # What a process that has ended has left, its guard ends.
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.connection.close()

    def _end(self) -> str:
        """How it ended, in one line."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(REAP_SECONDS)
        self.kill()
        code = self.process.returncode
        if code == -signal.SIGKILL:
            return "killed by SIGKILL, as the system does where memory is short"
        if code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return f"its process ended with {code}"
