"""What a command leaves in a build folder for ``qnn report``."""

import sys
from collections.abc import Mapping
from pathlib import Path


def keep_result(build: Path, name: str, values: Mapping[str, object]) -> None:
    """Keep ``values`` as ``report/NAME.json``; print a note where the folder cannot be written."""
    from qnn.report import records

    try:
        records.keep(build, name, values)
    # A note and no refusal: the command has done what it was asked for.
    except OSError as error:
        print(
            f"note: {build / records.FOLDER}: 'qnn report' will not show this result, because "
            f"the folder cannot be written ('{error.strerror}')",
            file=sys.stderr,
        )
