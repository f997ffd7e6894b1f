"""Files that a reader never sees half of, and that are files: written beside, read if regular.

What is written stands beside its place, under a name of ours and a lock of the kernel's, until it
is renamed. A lock ends with its process, so that whoever writes the same name next finds what a
killed one left, knows that nobody works on it, and removes it.
"""

import errno
import fcntl
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

MARK = ".qnn-part"  # ends the names of what is not finished
MOST_NOTE_BYTES = 16 << 20  # of lists and numbers as text: a thousand times what any build has


def read_file(path: Path) -> bytes:
    """All bytes of a regular file; a device, a pipe or a folder is an error, and never waits.

    Raises
    ------
    OSError
        There is no such file, it is not regular, or it cannot be read.
    """
    with open_file(path) as file:
        return file.read()


def read_note(path: Path) -> bytes:
    """All bytes of a file of lists and numbers as text, which is small whatever it is about.

    Raises
    ------
    OSError
        As for ``read_file``, or the file is so large that it is none of ours.
    """
    with open_file(path) as file:
        data = file.read(MOST_NOTE_BYTES + 1)
    # Text takes many times its size as values: whoever reads it must not run out of memory.
    if len(data) > MOST_NOTE_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return data


def read_at_most(path: Path, most: int) -> bytes | None:
    """All bytes of a regular file; None where they are more than ``most``, of which none is read.

    Raises
    ------
    OSError
        As for ``read_file``.
    """
    with open_file(path) as file:
        # Asked first: whoever reads up to so many bytes is given memory for all of them.
        size = os.fstat(file.fileno()).st_size
        return None if size > most else file.read(size)


def open_file(path: Path) -> IO[bytes]:
    """A regular file, open to be read; raises as ``read_file``."""
    # Opening a pipe waits for its writer, and opening a device may act on it: asked first, and
    # again of what was opened, as a name may change its meaning in between.
    _check_regular(os.stat(path).st_mode, path)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _check_regular(os.fstat(descriptor).st_mode, path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _check_regular(mode, path):
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "Not a regular file", str(path))


def write_whole(path: Path, data: bytes | str) -> None:
    """Write beside ``path``, then rename: afterwards there is all of it, or what was there before.

    Raises
    ------
    OSError
        The folder is missing or not writable, the disk is full, or ``path`` is a folder.
    """
    data = data.encode() if isinstance(data, str) else data
    try:
        with _beside(path) as beside:
            beside.write_bytes(data)
    except OSError as error:
        # A write into an open file, as of a full disk, fails without the file's name.
        error.filename = error.filename or str(path)
        raise


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write, which is renamed to ``path`` at the block's end, or removed by an error.

    A pipe or a device under that name, such as ``/dev/stdout``, is written to as it stands. A link
    stays, and what it points to is replaced.

    Raises
    ------
    OSError
        As for ``write_whole``.
    """
    with _beside(path) as beside, beside.open("wb") as file:
        yield file


@contextmanager
def _beside(path):
    """The name of a file that is ``path`` after the block."""
    path = Path(path)
    # Before a name beside is made of it: the current folder's path, '', has none.
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():
        yield path
        return
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    remove_stale(target)
    beside = part_of(target)
    try:
        with _held_file(beside):
            yield beside
            os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)


def _held_file(beside):
    while True:
        file = beside.open("wb")
        hold(file.fileno())
        # Before the lock, another writer may have taken the empty file for one that was left.
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()


@contextmanager
def scratch_folder(prefix: str) -> Iterator[Path]:
    """An empty folder for temporary files, removed at the block's end; its name begins so.

    What killed processes have left of the same beginning is removed first, as no one holds it.
    """
    place = Path(tempfile.gettempdir())
    for left in place.glob(f"{prefix}*{MARK}"):
        remove_unheld(left)
    folder, descriptor = held_folder(place, prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def held_folder(place: Path, prefix: str) -> tuple[Path, int]:
    """A new folder in ``place`` and the open descriptor that holds it until it is closed."""
    return held(lambda: Path(tempfile.mkdtemp(prefix=prefix, suffix=MARK, dir=place)))


def held(make: Callable[[], Path]) -> tuple[Path, int]:
    """The folder that ``make`` makes and the open descriptor that holds it until it is closed."""
    while True:
        folder = make()
        # As with files: another process may remove it before it is held, opened or not.
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        hold(descriptor)
        if os.fstat(descriptor).st_nlink:
            return folder, descriptor
        os.close(descriptor)


def part_of(path: Path) -> Path:
    """A new name beside ``path`` under which a writer makes what will be ``path``."""
    # By chance and not by process, so that two writers never share a half: threads have one number,
    # and containers that share a folder have the same ones.
    return path.with_name(f".{path.name}.{secrets.randbits(64)}{MARK}")


def remove_stale(path: Path) -> None:
    """Remove what writers of ``path`` that no longer live have left beside it; others stay."""
    if not path.parent.is_dir():
        return
    start = f".{path.name}."
    for left in path.parent.iterdir():
        owner = left.name.removeprefix(start).removesuffix(MARK)
        if left.name == f"{start}{owner}{MARK}" and owner.isdecimal():
            remove_unheld(left)


def remove_unheld(path: Path) -> None:
    """Remove a file or folder of ours unless a living process holds it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return  # gone meanwhile, or another user's
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    except OSError:
        pass  # it is held, or the file system knows no locks: then nothing is ever removed
    finally:
        os.close(descriptor)


def hold(descriptor: int) -> None:
    """Lock an open file or folder for as long as it is open; programs it starts do not inherit.

    Of a new name. Whoever has its lock already takes it for one that was left, and removes it.
    """
    try:
        # Waits for that one, which is a moment: afterwards its count of links says what it did.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:
        pass  # some network folders have no locks: nothing is removed there either
