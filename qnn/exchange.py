"""A folder that is replaced at once: a reader sees the old one or the new one, never none.

Linux exchanges two names in one step (``renameat2``). Where the system or the file system does not,
two renames do it: a reader may then find no folder for a moment, and what a process that was killed
between the two has left is put back by the next one.
"""

import ctypes
import errno
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from pathlib import Path

from qnn.files import held, part_of, remove_stale, remove_unheld

AT_FDCWD = -100  # names count from the current folder
RENAME_EXCHANGE = 2
# What says that names cannot be exchanged here, and not that this exchange went wrong.
UNABLE = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTTY)
OLD = ".qnn-old"  # ends the name of a folder while it has none, where names cannot be exchanged


def replace_folder(
    folder: Path,
    files: Mapping[str, bytes],
    keep: Callable[[str, Path], bool],
    finish: Callable[[Path], None],
) -> None:
    """Make ``folder`` one of ``files``, path to content, and of what ``keep`` keeps of the old one.

    A process that is killed leaves the old folder or the new one, and what it has left beside is
    removed by the next one.

    Parameters
    ----------
    keep : whether a file of the old folder stays, by its name in there and its path; those of
        ``files`` are replaced. A file that stays is the same file, not a copy, where links are had
    finish : called with the path of each new file, before anybody sees it

    Raises
    ------
    OSError
        The folder is not writable, or the disk is full; the old one is as it was.
    """
    folder = Path(os.path.realpath(folder)) if folder.is_symlink() else folder
    recover(folder)
    remove_stale(folder)
    with _beside(folder) as beside:
        for name, data in files.items():
            path = beside / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            finish(path)
        if not folder.exists():
            beside.rename(folder)
            return
        shutil.copymode(folder, beside)
        _keep(folder, beside, keep)
        exchange(beside, folder)
        # What came into the old folder while this went on.
        _keep(beside, folder, keep)


def recover(folder: Path) -> None:
    """Put back a folder whose name a killed process had taken away; remove it if there is one."""
    old = _old(folder)
    # A link is none that a writer of ours has left, whatever it leads to.
    if old.is_symlink():
        return
    if not folder.exists() and old.exists():
        old.rename(folder)
    remove_unheld(old)


def exchange(one: Path, other: Path) -> None:
    """Let two folders beside each other change their names, at once where the system can."""
    if _exchanged(one, other):
        return
    old = _old(other)
    other.rename(old)
    one.rename(other)
    old.rename(one)


def _old(folder):
    return folder.with_name(f".{folder.name}{OLD}")


def _exchanged(one, other):
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    if call(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in UNABLE:
        return False
    raise OSError(number, os.strerror(number), str(other))


@contextmanager
def _beside(folder):
    """A new folder beside, held by this process; removed at the end, if it is still there."""
    beside, descriptor = held(lambda: _made(part_of(folder)))
    try:
        yield beside
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        os.close(descriptor)


def _made(folder):
    # With the mode that the user's umask gives, as a build is there to be read.
    folder.mkdir()
    return folder


def _keep(old: Path, new: Path, keep) -> None:
    """Give ``new`` the files of ``old`` that stay and that it has none of."""
    for place, folders, names in os.walk(old):
        inside = Path(place).relative_to(old)
        # A link to a folder is listed among the folders, and stays a link.
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        for name in [*names, *links]:
            path, target = Path(place) / name, new / inside / name
            if not os.path.lexists(target) and keep((inside / name).as_posix(), path):
                target.parent.mkdir(parents=True, exist_ok=True)
                _link(path, target)
        if not folders and not names and not (new / inside).exists():
            (new / inside).mkdir(parents=True)


def _link(path, target):
    try:
        os.link(path, target, follow_symlinks=False)
    except OSError:
        # Of file systems without hard links.
        shutil.copy2(path, target, follow_symlinks=False)
