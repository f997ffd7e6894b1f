"""Files that a reader never sees half of."""

import os
from pathlib import Path


def write_whole(path: Path, data: bytes | str) -> None:
    """Write beside ``path``, then rename: afterwards there is all of it, or what was there before.

    Raises
    ------
    OSError
        The folder is missing or not writable, or the disk is full.
    """
    # With the process in the name, so that two writers never share a half.
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        beside.write_bytes(data.encode() if isinstance(data, str) else data)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
