"""How a command ends: any error becomes an exit code, one line and, where wanted, JSON."""

import contextlib
import itertools
import os
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from qnn.cache import lasting_folder
from qnn.cli.exit_codes import ExitCode
from qnn.errors import QnnError

MOST_CHARACTERS = 300  # of an unexpected error in its line; the file has all of it


@dataclass(frozen=True)
class Ending:
    """An error as it is told.

    Members
    -------
    kind : one word for programs: ``usage``, ``interrupted``, ``file``, ``internal``, or
        ``QnnError.kind``
    message : one line
    report : the file that has the rest of an unexpected error
    """

    code: ExitCode
    kind: str
    message: str
    report: str | None = None

    def fields(self) -> dict:
        """The object that ``--json`` prints."""
        error = {"kind": self.kind, "message": self.message}
        if self.report:
            error["report"] = self.report
        return {"error": error, "exit_code": int(self.code)}


def ending_of(error: BaseException, arguments: Sequence[str]) -> Ending:
    """What to say of an error that left a command, which was given ``arguments``."""
    if isinstance(error, KeyboardInterrupt):
        # With a text where the command says what it saved, and what goes on from there.
        return Ending(ExitCode.INTERRUPTED, "interrupted", _line("interrupted", str(error)))
    if isinstance(error, typer.TyperException):
        context = getattr(error, "ctx", None)
        # Before a command has its options, the parser does not say whose they are.
        command = context.command_path if context else " ".join(("qnn", *arguments[:1]))
        text = error.format_message() + _given(error, arguments)
        return Ending(ExitCode.USAGE, "usage", _line(command, text))
    if isinstance(error, _refusals()):
        # ImageError is of the hardware's package, which knows no QnnError.
        return Ending(ExitCode.REFUSAL, getattr(error, "kind", "image"), _line(str(error)))
    # A file that is missing or closed is the user's affair as much as a refusal.
    if isinstance(error, OSError):
        # A write into an open file, such as the output, fails without the file's name.
        name = error.filename or "a file or the output"
        return Ending(ExitCode.REFUSAL, "file", _line(str(name), error.strerror or str(error)))
    return _unexpected(error, arguments)


def _given(error, arguments) -> str:
    """What an option out of its range was given, which the parser does not say."""
    names = getattr(getattr(error, "param", None), "opts", ())
    for name, value in itertools.pairwise(arguments):
        if name in names and "Input should" in error.message:
            return f", not '{value}'"
    return ""


def _refusals() -> tuple[type[Exception], ...]:
    """The errors whose text says in one line what is wrong with what the user gave."""
    # Only what has read an image can raise its error: --help need not wait for the import.
    image = sys.modules.get("hw.spec.image")
    return (QnnError,) if image is None else (QnnError, image.ImageError)


def _line(*parts: str) -> str:
    """The parts that are not empty, in one line, whatever line breaks they have."""
    return ": ".join(" ".join(part.split()) for part in parts if part)


def _unexpected(error, arguments) -> Ending:
    text = _line(type(error).__name__, str(error))[:MOST_CHARACTERS]
    path = _write_report(error, arguments)
    rest = f"the trace is in {path}" if path else "the trace could not be written to any folder"
    message = f"qnn itself failed: {text}; {rest}; please report it"
    return Ending(ExitCode.REFUSAL, "internal", message, path and str(path))


def _write_report(error, arguments) -> Path | None:
    """The file with the trace, in the cache or else in a temporary folder; None if in neither."""
    head = {
        "command": ["qnn", *arguments],
        "folder": _or_error(os.getcwd),
        "python": sys.version,
        "platform": platform.platform(),
    }
    lines = [f"{name}: {value!r}" for name, value in head.items()]
    text = "\n".join((*lines, "", *traceback.format_exception(error)))
    # With the process in the name, as commands of a CI may fail in one second.
    name = f"fault-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    for place in _report_folders():
        with contextlib.suppress(OSError):
            # The first that can be written has it.
            place.mkdir(parents=True, exist_ok=True)
            # What a string cannot encode stands as an escape, so that the report is written.
            (place / name).write_text(text, errors="backslashreplace")
            return place / name
    return None


def _report_folders() -> Iterator[Path]:
    # A cache that is temporary goes with this process, and the report is to be read after it.
    lasting = lasting_folder()
    if lasting is not None:
        yield lasting / "faults"
    # It raises where no folder can be written at all.
    with contextlib.suppress(FileNotFoundError):
        yield Path(tempfile.gettempdir())


def _or_error(ask):
    try:
        return ask()
    except OSError as error:
        return str(error)
