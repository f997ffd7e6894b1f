"""Run a Tcl script against a Python function that answers the commands that are not Tcl's own."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from qnn.errors import ToolError

HERE = Path(__file__).parent


class RefusedError(Exception):
    """Raised by the function that answers: the command fails in the script with this text."""


@dataclass(frozen=True)
class Script:
    """An answer: go on with this text, as the file ``name``."""

    name: str
    text: str


@dataclass(frozen=True)
class Failure:
    """Where a script ended before its end, and why."""

    name: str
    line: int
    reason: str


Answer = Callable[[list[str]], "str | Script"]


def run(first: str, answer: Answer) -> Failure | None:
    """Source the file ``first`` to its end; gives None, or where it failed.

    Parameters
    ----------
    first : name of a file, of which ``answer`` is asked by ``source``
    answer : takes a command and its arguments

    Raises
    ------
    ToolError
        There is no Tcl interpreter on this machine.
    """
    tclsh = shutil.which("tclsh")
    # The program where there is one: Python's tkinter is often a package of its own.
    words = _through_pipe(tclsh, first, answer) if tclsh else _through_tkinter(first, answer)
    return Failure(words[0], int(words[1]), words[2]) if words else None


def version() -> str | None:
    """Version of the Tcl interpreter that ``run`` would use; None if there is none."""
    told = []

    def answer(words):
        told.append(words[-1])
        # Asked of the interpreter itself: tclsh has no option that prints its version.
        return Script("version", "say [info patchlevel]") if words[0] == "source" else ""

    try:
        run("version", answer)
    except ToolError:
        return None
    return told[-1]


def _through_pipe(tclsh, first, answer):
    with subprocess.Popen(
        [tclsh, HERE / "pipe.tcl", first], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout:
            # Words go as hexadecimal, so that blanks, braces and line ends need no quoting.
            command, *rest = (bytes.fromhex(word[1:]).decode() for word in line.split())
            # An empty command is the driver's last word: where the script failed, if it did.
            if command == "":
                return rest
            reply = _reply(answer, [command, *rest])
            process.stdin.write(" ".join("x" + word.encode().hex() for word in reply) + "\n")
            # The script waits for the answer, and would wait for ever for one in a buffer.
            process.stdin.flush()
    raise ToolError(f"{tclsh} ended before the script did; install Tcl 8.6")


def _through_tkinter(first, answer):
    try:
        import tkinter
    except ImportError:
        raise ToolError(
            "checking Tcl needs 'tclsh' or Python's tkinter, but neither is here; apt install tcl"
        ) from None
    # Tcl without Tk needs no display.
    interpreter = tkinter.Tcl()
    found = []

    def reply(command, *rest):
        if command == "":
            found.extend(rest)
            return ""
        return interpreter.tk.call("list", *_reply(answer, [command, *rest]))

    interpreter.createcommand("answer", reply)
    interpreter.eval((HERE / "driver.tcl").read_text())
    interpreter.tk.call("start", first)
    return found


def _reply(answer, words):
    try:
        value = answer(words)
    except RefusedError as error:
        return ["error", str(error)]
    return ["script", value.name, value.text] if isinstance(value, Script) else ["ok", value]
