"""NumPy's files, ``.npy`` and ``.npz``: an array is read after its header was held to the file.

A header may say any size, and a compressed member may be a thousand times as large as its bytes:
no more memory is taken than the file itself can account for. Objects are never unpickled.
"""

import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO

import numpy as np

from qnn.archive_file import BROKEN_ARCHIVE, open_member
from qnn.errors import first_line
from qnn.files import open_file, whole_file

MEMBER = ".npy"
MAGIC = b"\x93NUMPY"
ZIP_MAGIC = b"PK"
HEADERS = {1: 2, 2: 4, 3: 4}  # version of the format: bytes of its header's length
MOST_HEADER = 10_000  # bytes, as NumPy itself allows
PIECE = 1 << 20  # bytes that are decompressed at a time
# All members together may be as large as this, or as many times as large as the file: images that
# compress better than this are of one colour.
LEAST_LIMIT, MOST_RATIO = 1 << 26, 100
# As every writer has it, with or without spaces; anything but plain numbers is not ours to read.
_HEADER = re.compile(
    rb"\{\s*'descr':\s*'([<>|=]?[biufc]\d{1,2})',\s*'fortran_order':\s*(?:True|False),\s*"
    rb"'shape':\s*\(([\dL, ]*)\),?\s*\}\s*"
)


class ArrayFileError(ValueError):
    """A file, or an array of it, that cannot be read; the text, of one line, says why."""


class ArrayFile:
    """The arrays of an open ``.npz``, each of which is read when it is asked for.

    Members
    -------
    files : names of the arrays, in the file's order
    """

    def __init__(self, archive: zipfile.ZipFile, size: int):
        self._archive, self._most = archive, max(LEAST_LIMIT, MOST_RATIO * size)
        self._sizes: dict[str, int] = {}  # bytes of each array that was asked for
        names = [name for name in archive.namelist() if name.endswith(MEMBER)]
        self.files = list(dict.fromkeys(name.removesuffix(MEMBER) for name in names))

    def __contains__(self, name: str) -> bool:
        return name in self.files

    def __getitem__(self, name: str) -> np.ndarray:
        """The array of that name.

        Raises
        ------
        KeyError
            There is none.
        ArrayFileError
            It cannot be read.
        """
        if name not in self.files:
            raise KeyError(f"{name} is not a file in the archive")
        try:
            member = self._archive.getinfo(name + MEMBER)
            self._check_size(name, member.file_size)
            with open_member(self._archive, member) as file:
                return _array(file, member.file_size, name)
        except ArrayFileError:
            raise
        except BROKEN_ARCHIVE as error:
            raise ArrayFileError(first_line(error)) from None

    def _check_size(self, name, size):
        """Raise where an array, with those that were read before it, is too large for the file."""
        self._sizes[name] = size
        total = sum(self._sizes.values())
        if total > self._most:
            others = len(self._sizes) - 1
            first = f" with the {others} before it" if others else ""
            raise ArrayFileError(
                f"array {name}{first} would take {total} bytes, more than {self._most}"
            )


@contextmanager
def open_arrays(path: Path) -> Iterator[ArrayFile]:
    """The arrays of an ``.npz``.

    Raises
    ------
    OSError
        There is no such file, or it is not regular.
    ArrayFileError
        It is no archive.
    """
    with open_file(path) as file:
        try:
            archive = zipfile.ZipFile(file)
        except BROKEN_ARCHIVE as error:
            raise ArrayFileError(first_line(error)) from None
        with archive:
            yield ArrayFile(archive, os.fstat(file.fileno()).st_size)


def read_arrays(path: Path) -> np.ndarray | dict[str, np.ndarray]:
    """The array of an ``.npy``, or all arrays of an ``.npz``; raises as ``open_arrays`` does."""
    with open_file(path) as file:
        start = file.read(len(MAGIC))
        if not start.startswith(ZIP_MAGIC):
            file.seek(0)
            return _array(file, os.fstat(file.fileno()).st_size, path.name)
    with open_arrays(path) as arrays:
        return {name: arrays[name] for name in arrays.files}


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an ``.npz`` whole, or not at all.

    Raises
    ------
    OSError
        The folder is missing or not writable, or the disk is full.
    """
    with whole_file(path) as file:
        np.savez(file, **arrays)


def _array(file: IO[bytes], size: int, name: str) -> np.ndarray:
    """The array of ``size`` bytes with its header, whose place in ``file`` is the beginning."""
    start = file.read(len(MAGIC) + 2)
    if len(start) < len(MAGIC) + 2 or not start.startswith(MAGIC):
        raise ArrayFileError(f"{name} is no array of NumPy's")
    version = start[len(MAGIC)]
    width = HEADERS.get(version)
    length = int.from_bytes(file.read(width or 0), "little")
    if width is None or length > MOST_HEADER:
        raise ArrayFileError(f"{name} has a header of format {version} with {length} bytes")
    found = _HEADER.fullmatch(text := file.read(length))
    if b"|O" in text:
        raise ArrayFileError("Object arrays cannot be loaded when allow_pickle=False")
    if found is None:
        raise ArrayFileError(f"{name} needs an array of plain numbers, and has another header")
    try:
        dtype = np.dtype(found[1].decode())
        shape = tuple(int(each.strip(b" L")) for each in found[2].split(b",") if each.strip())
        wanted = dtype.itemsize * prod(shape)
        held = size - len(start) - width - length
        if wanted != held:
            raise ArrayFileError(f"{name} needs {wanted} bytes for its shape {shape}, not {held}")
        order = "F" if b"True" in text else "C"
        array = _filled(file, wanted, name).view(dtype).reshape(shape, order=order)
        # In the machine's own order of bytes, which torch alone takes; most files have it.
        return array.astype(dtype.newbyteorder("="), copy=False)
    except (TypeError, ValueError) as error:
        raise ArrayFileError(first_line(error)) from None


def _filled(file, wanted, name):
    """The next ``wanted`` bytes, read to where they stay: data sets may take half the memory."""
    data, done = np.empty(wanted, np.uint8), 0
    while done < wanted:
        count = file.readinto(memoryview(data)[done : done + PIECE])
        if not count:
            raise ArrayFileError(f"{name} is cut short after {done} of {wanted} bytes")
        done += count
    return data
