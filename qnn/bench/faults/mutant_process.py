"""Work in a process of its own, in which one file of ours is a mutant."""

import importlib.abc
import importlib.util
import json
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable
from math import ceil
from pathlib import Path
from typing import Any

from qnn.bench.faults.python_mutants import PythonMutant

ROOT = Path(__file__).parents[3]
# Packages that a mutant's process imports anew; tests, as they hold what they have imported.
OURS = ("qnn", "sim", "hw", "boards", "tests")

# A mutant that waits uses no processor; one beside other programs gets a part of it.
WAITING = 10


def with_mutant(
    mutant: PythonMutant | None, work: Callable[[], Any], seconds: float
) -> tuple[Any, str | None]:
    """What ``work`` gives, as JSON has it, and why it gives nothing: it hung, or its process died.

    Parameters
    ----------
    mutant : None runs the sound code
    work : imports what it needs of ours by itself; an error that it raises ends the process
    seconds : of computing, or ``WAITING`` times as many on the clock, after which it hangs
    """
    # A process of its own: a mutant may hang, die, or leave modules half changed.
    reader, writer = os.pipe()
    watched, held = os.pipe()
    child = os.fork()
    if child == 0:
        # Nothing of the parent's must be flushed or closed twice.
        try:
            os.close(reader)
            os.close(held)
            # A group of its own: what the work starts ends with it.
            os.setpgid(0, 0)
            _limit(ceil(seconds))
            _end_with_parent(watched, writer)
            _run(mutant, work, writer)
        finally:
            os._exit(0)
    os.close(writer)
    os.close(watched)
    try:
        result, died = told(reader, WAITING * seconds)
    finally:
        os.close(reader)
        ended = _end(child)
        os.close(held)
    # Where the limit on computing ends it, it has said nothing.
    return result, f"it hangs for {seconds:.0f} s" if ended == signal.SIGXCPU else died


def told(reader: int, seconds: float) -> tuple[Any, str | None]:
    """What is read until the other side closes, and why it is nothing."""
    text, end = b"", time.monotonic() + seconds
    while True:
        ready, _, _ = select.select([reader], [], [], max(0, end - time.monotonic()))
        if not ready:
            return None, f"it hangs for {seconds:.0f} s"
        part = os.read(reader, 1 << 16)
        if not part:
            break
        text += part
    return (json.loads(text), None) if text else (None, "its process died")


def _limit(seconds):
    """End this process with SIGXCPU, and no file that tells of it, after so much computing."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _end_with_parent(watched, writer):
    """End this group when the other side of ``watched`` closes: nobody waits for it any more."""
    # A process and no thread: the work may fork, which processes of several threads should not.
    if os.fork() == 0:
        os.close(writer)
        os.read(watched, 1)
        os.killpg(0, signal.SIGKILL)
    os.close(watched)


def _end(child) -> int:
    """End the group of a process; returns the signal that ended the process, 0 if none did."""
    try:
        os.killpg(child, signal.SIGKILL)
    except OSError:
        os.kill(child, signal.SIGKILL)  # it has not come to make its group
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status)


def _run(mutant, work, writer):
    # A mutant's own prints and warnings are nobody's.
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    # What the parent has imported is sound: all of it is imported again.
    for name in [name for name in sys.modules if name.partition(".")[0] in OURS]:
        del sys.modules[name]
    if mutant is not None:
        sys.meta_path.insert(0, _Finder(mutant))
    os.write(writer, json.dumps(work()).encode())


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):
    """Imports the mutant's text in the place of its file."""

    def __init__(self, mutant: PythonMutant):
        self.mutant = mutant
        self.name = mutant.path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")

    def find_spec(self, fullname, path, target=None):
        if fullname != self.name:
            return None
        file = str(ROOT / self.mutant.path)
        places = [str(Path(file).parent)] if file.endswith("__init__.py") else None
        return importlib.util.spec_from_file_location(
            fullname, file, loader=self, submodule_search_locations=places
        )

    def get_filename(self, fullname):
        return str(ROOT / self.mutant.path)

    def get_data(self, path):
        return self.mutant.text.encode()
