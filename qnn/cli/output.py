"""What the command prints: tables for people, JSON alone for machines, bars on a terminal."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Progress = Callable[[int, int], None]  # done, in all
# Wide enough for the widest table, so that a file or a pipe never has cut cells.
PIPE_WIDTH = 160  # columns of a table that no terminal shows


def print_json(value: object) -> None:
    """Print ``value`` as JSON on standard output."""
    json.dump(value, sys.stdout, indent=2)
    print()


def note(text: str) -> None:
    """Print one line on standard error that a user should know of and that stops nothing."""
    print("note:", text, file=sys.stderr)


def print_table(title: str, header: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print a table on standard output, as wide as the terminal."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*header, title=title, title_justify="left", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    # Without highlighting: colours of numbers mean nothing here.
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False).print(table)


@contextmanager
def progress(text: str) -> Iterator[Progress]:
    """Give a function of (done, in all) that moves a bar on standard error, if it is a terminal."""
    # A log of a bar's every move would hide what else is said.
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bars

    # Gone at the end: the result is what stays on the terminal.
    with Bars(console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(text, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)
