"""What the command prints: tables for people, JSON alone for machines, bars on a terminal."""

import contextlib
import json
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated, TextIO

import typer

from qnn.errors import QnnWarning

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Progress = Callable[[int, int], None]  # done, in all
PIPE_WIDTH = 160  # columns of a table that no terminal shows, at least
UNBOUNDED = 100_000  # columns, that no table needs


def open_missing() -> None:
    """Let outputs that the shell closed lead nowhere.

    Otherwise the next file that is opened would take the descriptor, and get what is printed.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))


class Aside:
    """A standard output whose text goes to standard error; ``results`` is the true one."""

    def __init__(self, results: TextIO):
        self.results = results

    def __getattr__(self, name):
        return getattr(sys.stderr, name)


@contextmanager
def json_alone() -> Iterator[None]:
    """Inside, only ``print_json`` writes on standard output; all else goes to standard error.

    A model's own code prints, libraries warn, and programs in C write past Python: one line of
    theirs would make the JSON unreadable.
    """
    with contextlib.ExitStack() as stack:
        results = stack.enter_context(_own_descriptor())
        stack.enter_context(contextlib.redirect_stdout(Aside(results)))
        yield


@contextmanager
def _own_descriptor():
    """Standard output on a descriptor of its own, while 1 leads to standard error."""
    try:
        sys.stdout.flush()
        kept = os.dup(sys.stdout.fileno())
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    # A test, or a program that calls main, may have put something without descriptors there.
    except (AttributeError, OSError, ValueError):
        yield sys.stdout
        return
    stream = sys.stdout
    try:
        # Not closed with the stream: a full disk makes closing fail, a second time.
        with open(kept, "w", encoding=stream.encoding, closefd=False) as results:
            yield results
    finally:
        # What was written past every redirection may wait in there still.
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
        os.dup2(kept, stream.fileno())
        os.close(kept)


def flush() -> None:
    """Write out what was printed, so that a full disk or a closed pipe is found now.

    Raises
    ------
    OSError
        It cannot be written.
    """
    stream = getattr(sys.stdout, "results", sys.stdout)
    stream.flush()


def discard_output() -> None:
    """Let standard output lead nowhere: Python writes what is left once more when it ends."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, getattr(sys.stdout, "results", sys.stdout).fileno())
        os.close(nowhere)


def print_json(value: object) -> None:
    """Print ``value`` as JSON on standard output."""
    stream = getattr(sys.stdout, "results", sys.stdout)
    print(json.dumps(value, indent=2), file=stream)


def print_error(text: str) -> None:
    """Print ``text`` on standard error, as the one line that says why a command ended."""
    # Where even that is closed or full, the exit code is what is left to tell.
    with contextlib.suppress(OSError, ValueError):
        print("error:", text, file=sys.stderr, flush=True)


def note(text: str) -> None:
    """Print one line on standard error that a user should know of and that stops nothing."""
    print("note:", text, file=sys.stderr)


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Print what a user should know in one line on standard error, as refusals are."""
    with warnings.catch_warnings():
        others, said = warnings.showwarning, set()

        def show(message, category, *where) -> None:
            if issubclass(category, QnnWarning):
                text = " ".join(str(message).split())
                # What is read or encoded twice is warned of once.
                if text not in said:
                    said.add(text)
                    print("warning:", text, file=sys.stderr)
            else:
                others(message, category, *where)

        warnings.showwarning = show
        # Each time, and not once for each place of the code: texts name layers.
        warnings.simplefilter("always", QnnWarning)
        yield


class StatusLines(logging.Handler):
    """Prints what simulators say of their work on standard error, a line each."""

    def emit(self, record: logging.LogRecord) -> None:
        # Looked up each time: a bar puts lines above itself by a stream of its own.
        print(record.getMessage(), file=sys.stderr)


@contextmanager
def status_lines() -> Iterator[None]:
    """Inside, say what is built meanwhile, such as a simulator, if standard error is a terminal."""
    # As bars: a log or a CI has no use for what is only there to wait by.
    if not sys.stderr.isatty():
        yield
        return
    log, handler = logging.getLogger("sim"), StatusLines()
    before = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        # A program that calls main has its own settings.
        log.setLevel(before)
        log.removeHandler(handler)


def print_table(title: str, header: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print a table on standard output, as wide as the terminal."""
    from rich.console import Console
    from rich.table import Table

    class Pipe(Console):
        def on_broken_pipe(self):
            # As for all other output: rich would end the process with a code of its own.
            raise

    table = Table(*header, title=title, title_justify="left", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    # Names are printed as they are: '[bold]' or ':on:' in one is no markup, and numbers no colours.
    plain = {"markup": False, "emoji": False, "highlight": False}
    console = Pipe(width=None if sys.stdout.isatty() else PIPE_WIDTH, **plain)
    if not sys.stdout.isatty():
        # A file or a pipe has room for any line, so that no cell is cut.
        unbounded = console.options.update(width=UNBOUNDED)
        console.width = max(PIPE_WIDTH, console.measure(table, options=unbounded).maximum)
    console.print(table)


@contextmanager
def progress(text: str) -> Iterator[Progress]:
    """Give a function of (done, in all) that moves a bar on standard error, if it is a terminal."""
    # A log of a bar's every move would hide what else is said.
    # Asked each time, as a program that calls main may replace the stream.
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TextColumn

    # Gone at the end: the result is what stays on the terminal.
    # As rich names a bar by itself, but for the markup.
    named = TextColumn("{task.description}", style="progress.description", markup=False)
    columns = named, *Bars.get_default_columns()[1:]
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(text, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)
