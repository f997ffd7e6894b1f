"""Files that a reader never sees half of."""

import os
from pathlib import Path

from qnn.errors import ModelError


def write(path: Path, data: bytes | str) -> None:
    """Write beside ``path``, then rename; folders on the way are made.

    Raises
    ------
    ModelError
        The place is not writable, or the disk is full.
    """
    data = data.encode() if isinstance(data, str) else data
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.write_bytes(data)
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise ModelError(
            f"{path}: bench needs a writable folder with room, but got '{error.strerror}'; choose "
            f"another path"
        ) from None
