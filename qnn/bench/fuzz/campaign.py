"""Hostile files by the thousand: every reader must take each or refuse it, soon and in little.

Input i of a seed is the same on every machine: its number decides the reader that it is for, and
seed and number decide the file. Readers run in processes of their own, under a limit of memory, and
a process that is silent for longer than an input may take is ended and counted.
"""

import multiprocessing
import os
import resource
import shutil
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from random import Random

from qnn.bench.fuzz.target import FuzzTarget
from qnn.files import scratch_folder

# Seconds of one input, after which it counts as hung; real ones take milliseconds, and this leaves
# room for a machine that does other things.
HUNG_SECONDS = 30.0
START_SECONDS = 300.0  # of a process, to import everything
MEMORY_BYTES = 2 << 30  # of one process, everything that it has loaded included
OWN_BYTES = 1 << 30  # that an input may have where the libraries alone take over half of that
REFUSED, ACCEPTED, ESCAPED, HUNG = "refused", "accepted", "escaped", "hung"
KEPT = 50  # findings in a report: each is enough to see its kind


@dataclass(frozen=True)
class Escape:
    """An input that was neither taken nor refused; ``--first INDEX --count 1`` gives it again."""

    index: int
    target: str
    outcome: str
    text: str


@dataclass
class Campaign:
    """What came of the inputs.

    Members
    -------
    outcomes : inputs by outcome
    by_target : the same by reader
    """

    seed: int
    outcomes: Counter = field(default_factory=Counter)
    by_target: dict[str, Counter] = field(default_factory=dict)
    findings: list[Escape] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether there were inputs, and each was taken or refused."""
        return sum(self.outcomes.values()) > 0 and not self.outcomes[ESCAPED] + self.outcomes[HUNG]

    def to_fields(self) -> dict:
        """Plain values for JSON."""
        return {
            "seed": self.seed,
            "inputs": sum(self.outcomes.values()),
            **{name: self.outcomes[name] for name in (REFUSED, ACCEPTED, ESCAPED, HUNG)},
            "by_target": {name: dict(found) for name, found in sorted(self.by_target.items())},
            "findings": [vars(finding) for finding in self.findings],
            "seconds": self.seconds,
            "hung_after_seconds": HUNG_SECONDS,
            "memory_bytes": MEMORY_BYTES,
        }

    def add(self, index: int, target: str, outcome: str, text: str) -> None:
        """Count one input."""
        self.outcomes[outcome] += 1
        self.by_target.setdefault(target, Counter())[outcome] += 1
        if outcome in (ESCAPED, HUNG) and len(self.findings) < KEPT:
            self.findings.append(Escape(index, target, outcome, text))


def run_campaign(
    seed: int,
    count: int,
    *,
    first: int = 0,
    jobs: int = 1,
    targets: Sequence[FuzzTarget] | None = None,
    corpus: Path | None = None,
    hung_seconds: float = HUNG_SECONDS,
    progress=None,
) -> Campaign:
    """Give ``count`` inputs from number ``first`` on to their readers.

    Parameters
    ----------
    jobs : processes that read at the same time
    targets : the readers, which inputs are for in turn; all of ours where none are given
    corpus : a folder of valid files for them, likewise
    progress : called with the inputs done and all
    """
    started = time.perf_counter()
    campaign = Campaign(seed)
    if targets is None:
        targets = _own_targets()
    with scratch_folder("qnn-fuzz-") as scratch:
        if corpus is None:
            from qnn.bench.fuzz.corpus import make_corpus

            corpus = Path(scratch) / "corpus"
            make_corpus(corpus)
        shares = [range(first + job, first + count, jobs) for job in range(jobs)]
        readers = [
            _Reader(seed, share, targets, corpus, Path(scratch) / f"job{job}", hung_seconds)
            for job, share in enumerate(shares)
            if share
        ]
        try:
            _collect(readers, campaign, count, progress)
        finally:
            for reader in readers:
                reader.end()
    campaign.seconds = time.perf_counter() - started
    return campaign


def _own_targets():
    # With all that they read: torch and the simulators, which other targets need not wait for.
    from qnn.bench.fuzz.targets import TARGETS

    return TARGETS


def _collect(readers, campaign, count, progress):
    while waiting := [reader for reader in readers if reader.inputs]:
        # Woken at least every second, to look which process is silent for too long.
        for ready in wait([reader.connection for reader in waiting], timeout=1.0):
            next(r for r in waiting if r.connection is ready).take(campaign)
        for reader in waiting:
            reader.check(campaign)
        if progress is not None:
            progress(sum(campaign.outcomes.values()), count)


class _Reader:
    """A process that reads inputs, and is started again behind one that ended it."""

    def __init__(self, seed, inputs, targets, corpus, place, hung_seconds):
        self.inputs = inputs  # those that are still to come
        self._given = seed, targets, corpus, place
        self._targets, self._hung_seconds = targets, hung_seconds
        self._start()

    def _start(self):
        # Where a process is lost, another goes on behind the input that it was lost with.
        # A fresh interpreter: what a fork inherits of libraries' threads may hang by itself.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        arguments = (theirs, self.inputs, *self._given)
        self._process = context.Process(target=_read_all, args=arguments, daemon=True)
        self._process.start()
        theirs.close()
        self._until = time.monotonic() + START_SECONDS

    def take(self, campaign):
        """Take one message: an input's outcome, or that the process is there."""
        try:
            message = self.connection.recv()
        except (EOFError, OSError):
            self._process.join()
            self._lose(campaign, ESCAPED, f"the process ended with {self._process.exitcode}")
            return
        self._until = time.monotonic() + self._hung_seconds
        if message is not None:
            campaign.add(*message)
            self.inputs = self.inputs[1:]

    def check(self, campaign):
        """End the process if it is silent for too long."""
        if self.inputs and time.monotonic() > self._until and not self.connection.poll():
            self._lose(campaign, HUNG, f"silent for {self._hung_seconds:g} s")

    def _lose(self, campaign, outcome, text):
        self.end()
        index, self.inputs = self.inputs[0], self.inputs[1:]
        campaign.add(index, self._targets[index % len(self._targets)].name, outcome, text)
        if self.inputs:
            self._start()

    def end(self):
        # Killed: what hangs in a library listens to nothing else.
        self._process.kill()
        self._process.join()
        self.connection.close()


def _read_all(connection: Connection, inputs, seed, targets, corpus, place):
    """Read the inputs in this process, and tell each outcome."""
    _limit_memory()
    connection.send(None)
    # Each in an empty place: what a reader left there is none of the next one's.
    for index in inputs:
        target = targets[index % len(targets)]
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        connection.send((index, target.name, *_outcome(target, seed, index, corpus, place)))
    shutil.rmtree(place, ignore_errors=True)


def _limit_memory():
    # Address space, not pages in use: what is asked for counts, whether it is touched or not.
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    loaded = pages * os.sysconf("SC_PAGE_SIZE")
    most = max(MEMORY_BYTES, loaded + OWN_BYTES)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _outcome(target, seed, index, corpus, place):
    from hw.spec.image import ImageError
    from qnn.errors import QnnError

    path = target.make(Random(f"{seed}:{index}"), corpus, place)
    try:
        target.read(path, corpus)
    except (QnnError, ImageError) as error:
        cause = _memory_error(error)
        return (ESCAPED, f"{cause!r} was refused") if cause else (REFUSED, str(error))
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)
        places = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in frames[::-1][:4])
        return ESCAPED, f"{type(error).__name__}: {str(error)[:200]} at {places}"
    return ACCEPTED, ""


def _memory_error(error):
    """The want of memory that a refusal came from, which is no fault of a file that was read."""
    while error is not None:
        if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
            return error
        error = error.__cause__ or error.__context__
    return None
