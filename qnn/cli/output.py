"""What the command prints: tables for people, JSON alone for machines."""

import json
import sys
from collections.abc import Iterable
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
PIPE_WIDTH = 160  # columns of a table that no terminal shows


def print_json(value: object) -> None:
    """Print ``value`` as JSON on standard output."""
    json.dump(value, sys.stdout, indent=2)
    print()


def print_table(title: str, header: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print a table on standard output, as wide as the terminal."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*header, title=title, title_justify="left", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False).print(table)
