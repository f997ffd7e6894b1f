"""What benchmarks write: whole files, in folders that are made on the way."""

from pathlib import Path

from qnn.errors import ModelError
from qnn.files import write_whole


def write(path: Path, data: bytes | str) -> None:
    """Write ``path``; a reader never sees half of it.

    Raises
    ------
    ModelError
        The place is not writable, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)
    except OSError as error:
        raise ModelError(
            f"{path}: bench needs a writable folder with room, but got '{error.strerror}'; choose "
            f"another path"
        ) from None
