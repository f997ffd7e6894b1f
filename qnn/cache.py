"""What costs much is made once for all processes of a user, and kept under ``cache_folder``."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_folder() -> Path:
    """Return ``$XDG_CACHE_HOME/qnn``, or the same under ``~/.cache``."""
    # The XDG rule: an empty variable counts as none.
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "qnn"


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


def keep_files(files: Iterable[Path], folder: Path) -> None:
    """Copy ``files`` into the cache's ``folder``; nobody ever sees a part of them.

    A new folder is filled beside its place and renamed. Of one that is there already, each file is
    replaced at once, so that a process that runs one goes on with the old.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(prefix=".part-", dir=folder.parent))
    try:
        staged.chmod(0o755)  # mkdtemp shuts others out, also of a cache that users share
        for file in files:
            # With its times, by which make decides what is new.
            shutil.copy2(file, staged)
        try:
            staged.rename(folder)
        except OSError:  # it is there and has files
            for file in staged.iterdir():
                file.replace(folder / file.name)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
