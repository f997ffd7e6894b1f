"""What commands that work for long keep of their work, and how they go on after Ctrl-C."""

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qnn.interrupt import Interrupted


def kept_beside(out: Path) -> Path:
    """The checkpoint of a command that writes ``out``, where none is named."""
    return out.with_name(f"{out.name}.resume")


@contextmanager
def going_on(kept: Path | None, named: bool) -> Iterator[None]:
    """Let interrupted work say how it goes on, also before it has done anything anew.

    Parameters
    ----------
    kept : the checkpoint of the work
    named : whether the user named it; one that was not goes when the work is done

    Raises
    ------
    KeyboardInterrupt
        The work was interrupted; the text says what it has saved, and the command that goes on.
    """
    try:
        yield
    except Interrupted as stopped:
        raise KeyboardInterrupt(f"{stopped}; go on with: {command_line()}") from None
    except KeyboardInterrupt:
        # While models and data are read, or by a second Ctrl-C: what an earlier run has saved.
        if kept is None or not kept.exists():
            raise
        raise KeyboardInterrupt(
            f"{kept} has the work so far; go on with: {command_line()}"
        ) from None
    # A checkpoint that the user named is theirs, for further runs.
    if kept is not None and not named:
        kept.unlink(missing_ok=True)


def command_line() -> str:
    """The command line of this process, as a shell takes it."""
    program = "qnn" if Path(sys.argv[0]).name != "__main__.py" else "python -m qnn.cli"
    # Its own options, with the number of processes, are not known here.
    launcher = "torchrun ... -m qnn.cli" if "TORCHELASTIC_RUN_ID" in os.environ else program
    return f"{launcher} {shlex.join(sys.argv[1:])}"
