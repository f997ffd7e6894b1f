"""JSON lines in a file, each appended whole, so that what ended early has all lines but its last.

What is cut short by the end of a process is no line: readers leave it out, and the next line takes
its place.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from qnn.errors import ModelError
from qnn.files import read_file


def whole_lines(path: Path, what: str) -> list[tuple[int, str]]:
    """Number and text of each line that is whole and not empty; none if there is no file.

    Parameters
    ----------
    what : the file holds, for errors

    Raises
    ------
    ModelError
        It is no file.
    """
    if not path.exists():
        return []
    try:
        text = read_file(path).decode(errors="replace")
    except OSError as error:
        raise ModelError(
            f"{what} {path} need to be a file, but got '{error.strerror}'; choose another with "
            f"--out"
        ) from None
    # Lines end in line feeds alone: a text may have any other separator in it.
    lines = enumerate(_whole(text).split("\n"), 1)
    return [(number, line) for number, line in lines if line.strip()]


def append_line(path: Path, fields: Mapping, what: str) -> None:
    """Add one line to the file, on disk when this returns.

    Raises
    ------
    ModelError
        The file cannot be written.
    """
    line = json.dumps(fields) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+") as file:
            file.seek(0)
            # A line that a killed process left half would join the next one to nonsense.
            file.truncate(len(_whole(file.read()).encode()))
            file.write(line)
            file.flush()
            # Hours of work may be in this line.
            os.fsync(file.fileno())
    except OSError as error:
        raise ModelError(
            f"{what} {path} need a writable place, but got '{error.strerror}'; choose another "
            f"with --out"
        ) from error


def _whole(text):
    """The text without a last line that the end of its process cut short."""
    return text[: text.rfind("\n") + 1]
