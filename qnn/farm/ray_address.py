"""A connection to a Ray cluster, or one line that says why there is none, within a minute."""

import logging
import os
import re
import socket
import subprocess
import sys
from types import ModuleType

from qnn.errors import ToolError
from qnn.farm.interpreter import python_environment

AUTO = "auto"  # the cluster that this machine has joined
MOST_PORT = (1 << 16) - 1
CONNECT_SECONDS = 5.0
# Importing Ray and asking its head for the cluster takes three seconds on one core.
ANSWER_SECONDS = 45.0
# No bars, no log files of this process's, and no lines of other machines.
QUIET = {"log_to_driver": False, "logging_level": logging.CRITICAL, "configure_logging": False}


def is_address(text: str) -> bool:
    """Whether a text is "auto" or HOST:PORT."""
    return text == AUTO or _host_and_port(text) is not None


def connected(address: str) -> ModuleType:
    """The module ``ray``, connected to the cluster at ``address``.

    Raises
    ------
    ToolError
        Ray is not installed, or no cluster answers there.
    """
    # Ray asks for it in the moment in which it is imported.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise ToolError(
            "--ray needs the package ray, which is not installed; run pip install 'qnn[farm]'"
        ) from None
    if not ray.is_initialized():
        _check_answer(address)
        ray.init(address=address, **QUIET)
    return ray


def _check_answer(address):
    """Raise unless a cluster answers: Ray itself would wait for minutes, and end this process."""
    if address != AUTO:
        _check_host(address)
    command = [sys.executable, "-m", "qnn.farm.ray_probe", address]
    try:
        run = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=python_environment(),
            timeout=ANSWER_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise _unreachable(address, f"nothing answered in {ANSWER_SECONDS:g} s") from None
    if run.returncode:
        lines = run.stdout.strip().splitlines() or ["its process died"]
        raise _unreachable(address, lines[-1])


def _host_and_port(text) -> tuple[str, int] | None:
    found = re.fullmatch(r"\[?(.+?)\]?:(\d{1,5})", text)
    return (found[1], int(found[2])) if found and int(found[2]) <= MOST_PORT else None


def _check_host(address):
    place = _host_and_port(address)
    if place is None:
        raise ToolError(f"--ray needs '{AUTO}' or HOST:PORT of a Ray cluster, not '{address}'")
    try:
        socket.create_connection(place, CONNECT_SECONDS).close()
    except OSError as error:
        raise _unreachable(address, error.strerror or str(error)) from None


def _unreachable(address, reason):
    which = "that this machine has joined" if address == AUTO else f"at {address}"
    return ToolError(
        f"--ray {address} needs a Ray cluster {which}, but none answers ({reason}); start one with "
        f"'ray start --head', join it with 'ray start --address=HOST:PORT', or leave out --ray"
    )
