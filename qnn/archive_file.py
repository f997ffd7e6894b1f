"""ZIP archives of users: no member takes more memory than the archive's list says that it has."""

import lzma
import zipfile
import zlib
from typing import IO

# What the standard library raises for archives that are cut, foreign, encrypted or altered.
BROKEN_ARCHIVE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError, OSError),
    *(NotImplementedError, RuntimeError, OverflowError),
)
# Of others, Python unpacks whatever a piece holds at once, which may be a thousand times its size.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def open_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
    """A member, open to be read in pieces of a stated size: without one, its list is not heeded.

    Raises
    ------
    zipfile.BadZipFile
        It is packed by a method that neither NumPy nor PyTorch writes.
    """
    if member.compress_type not in METHODS:
        raise zipfile.BadZipFile(
            f"{member.filename} is packed by method {member.compress_type}, not stored or deflated"
        )
    return archive.open(member)
