"""One driver at a time has a device: a lock of the kernel's, which ends with its process.

Two drivers would put their networks into the same memory, and start runs of one another.
"""

import fcntl
import os
import weakref
from collections.abc import Sequence
from pathlib import Path

from qnn.errors import DeviceError


class DeviceLock:
    """The files ``paths``, which no other driver has until ``release``.

    Raises
    ------
    DeviceError
        Another driver has one of them; ``name`` says whose device it is.
    """

    def __init__(self, name: str, paths: Sequence[Path]):
        files: list[int] = []
        # A driver that is dropped without being closed lets go of the device, too.
        self.release = weakref.finalize(self, _close, files)
        for path in paths:
            try:
                files.append(_opened(path))
                fcntl.flock(files[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.release()
                raise DeviceError(
                    f"{name}: another driver has {path}, in this process or another one; close it, "
                    f"or end its process"
                ) from None
            except OSError as error:
                self.release()
                raise DeviceError(
                    f"{name}: {path} is needed to keep other drivers away, but got "
                    f"'{error.strerror}'; make it writable for this user"
                ) from None


def _opened(path):
    try:
        # A serial port must not become the terminal of this process.
        return os.open(path, os.O_RDWR | os.O_NOCTTY)
    except FileNotFoundError:
        # Only where it is not: Linux lets nobody create over another user's file in /tmp.
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)


def _close(files):
    while files:
        os.close(files.pop())
