"""What a command leaves in a build folder for ``qnn report``."""

import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path


def keep_result(build: Path, name: str, values: Mapping[str, object]) -> None:
    """Keep ``values`` as ``report/NAME.json``; print a note where the folder cannot be written.

    The time and the commit of the folder that the command was started in are kept with them.
    """
    from qnn.report import records

    try:
        records.keep(build, name, {**values, **origin()})
    # A note and no refusal: the command has done what it was asked for.
    except OSError as error:
        print(
            f"note: {build / records.FOLDER}: 'qnn report' will not show this result, because "
            f"the folder cannot be written ('{error.strerror}')",
            file=sys.stderr,
        )


def origin() -> dict[str, str]:
    """When a result was made, and from which commit of the user's own repository, if it is one."""
    found = {"date": datetime.now(UTC).isoformat(" ", "minutes").replace("+00:00", " UTC")}
    # Tags excluded: a commit has one name.
    command = ("git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:  # no git
        return found
    return found | ({} if done.returncode else {"commit": done.stdout.strip()})
