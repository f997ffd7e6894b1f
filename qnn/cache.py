"""What costs much is made once for all processes of a user, and kept under ``cache_folder``."""

import atexit
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from qnn.fields import FieldsError, parsed, typed
from qnn.files import MARK, held_folder, read_file, read_note, remove_unheld

DIGESTS = ".whole"  # names the hashes of an entry's files
STAGED = ".part-"  # begins the name of an entry that is being filled


def cache_folder() -> Path:
    """Return ``$XDG_CACHE_HOME/qnn``, or the same under ``~/.cache``.

    Where that cannot be written, or there is no home, as in a container, a temporary folder of this
    process stands in: what is made is then made again by the next one.
    """
    return lasting_folder() or _temporary_folder()


def lasting_folder() -> Path | None:
    """The cache folder if it outlives this process, else None."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG rule: a variable that is empty or no absolute path counts as none.
    base = named if os.path.isabs(named) else os.path.expanduser("~/.cache")
    # A user without a home keeps the '~', which would be a folder wherever the command runs.
    if not os.path.isabs(base):
        return None
    folder = Path(base) / "qnn"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK | os.X_OK) else None


@lru_cache(maxsize=1)
def _temporary_folder():
    # A new one, as simulators are run from it: others could have filled one of a known name.
    folder = tempfile.mkdtemp(prefix="qnn-cache-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@contextmanager
def alone(entry: Path) -> Iterator[None]:
    """Hold the path ``entry`` of the cache until the block ends; whoever else wants it waits.

    Whoever waited must look again whether ``entry`` is there now. The lock is the kernel's, on an
    open file: it ends with the process that holds it, however that ends, and programs that the
    process started do not inherit it. The empty file ``.lock-NAME`` stays: removing it would let
    two processes hold two files of one name.
    """
    entry.parent.mkdir(parents=True, exist_ok=True)
    with entry.with_name(f".lock-{entry.name}").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError:
            pass  # some network folders have no locks: work may be done twice, and still be whole
        yield


def is_kept(folder: Path) -> bool:
    """Whether the cache's ``folder`` is there with all its files, byte for byte as they were kept.

    One that a full disk, a crash or a person has cut or emptied is not, and is to be made anew.
    """
    try:
        digests = typed(dict[str, str], parsed(read_note(folder / DIGESTS)))
        return all(_digest(folder / name) == digest for name, digest in digests.items())
    except (OSError, FieldsError):
        return False


def kept_files(folder: Path) -> list[Path]:
    """The files of a folder of the cache."""
    return sorted(path for path in folder.iterdir() if path.name != DIGESTS)


def keep_files(files: Iterable[Path], folder: Path) -> None:
    """Copy ``files`` into the cache's ``folder``; nobody ever sees a part of them.

    A new folder is filled beside its place and renamed. Of one that is there already, each file is
    replaced at once, so that a process that runs one goes on with the old. What killed processes
    have left beside is removed.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left in folder.parent.glob(f"{STAGED}*{MARK}"):
        remove_unheld(left)
    staged, descriptor = held_folder(folder.parent, STAGED)
    try:
        staged.chmod(0o755)  # it is made for its user alone, also in a cache that users share
        for file in files:
            # With its times, by which make decides what is new.
            shutil.copy2(file, staged)
        digests = {file.name: _digest(file) for file in staged.iterdir()}
        (staged / DIGESTS).write_text(json.dumps(digests))
        try:
            staged.rename(folder)
        except OSError:  # it is there and has files
            for file in [*kept_files(staged), staged / DIGESTS]:
                file.replace(folder / file.name)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
        os.close(descriptor)


def _digest(path):
    return hashlib.sha256(read_file(path)).hexdigest()
