"""ZIP archives of users: no member takes more memory than the archive's list says that it has."""

import copy
import io
import lzma
import struct
import zipfile
import zlib
from typing import IO

# What the standard library raises for archives that are cut, foreign, encrypted or altered.
BROKEN_ARCHIVE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError, OSError),
    *(NotImplementedError, RuntimeError, OverflowError),
)
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA)
# PyTorch stores its members as they are; one that is compressed may be a thousand times as large.
TORCH_RATIO = 20  # of what a file of PyTorch unpacks to, to its own size
LEAST_DICTIONARY = 4096  # bytes, that LZMA has
PIECE = 1 << 14  # bytes of a packed member that are read at a time


def open_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
    """A member, open to be read in pieces of a stated size: without one, its list is not heeded.

    Raises
    ------
    zipfile.BadZipFile
        It is packed by a method of which Python unpacks whatever a piece holds at once, which may
        be a thousand times its size.
    """
    if member.compress_type not in METHODS:
        raise zipfile.BadZipFile(
            f"{member.filename} is packed by method {member.compress_type}, not stored, deflated "
            f"or by LZMA"
        )
    if member.compress_type == zipfile.ZIP_LZMA:
        return io.BufferedReader(_Lzma(archive, member))
    return archive.open(member)


class _Lzma(io.RawIOBase):
    """A member that LZMA packed, of which no more is unpacked than is asked for.

    The standard library unpacks all that a piece of it holds, with a dictionary of whatever size
    the member asks for.
    """

    def __init__(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo):
        packed = copy.copy(member)
        packed.compress_type, packed.file_size = zipfile.ZIP_STORED, member.compress_size
        del packed.CRC  # which is that of what it unpacks to
        self._packed, self._member = archive.open(packed), member
        self._left, self._crc = member.file_size, 0
        self._unpacker = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[self._filter()])

    def readable(self) -> bool:
        return True

    def readinto(self, into) -> int:
        found = b""
        while self._left and not found:
            needs = self._unpacker.needs_input
            given = self._packed.read(PIECE) if needs else b""
            if self._unpacker.eof or (needs and not given):
                raise self._broken()
            found = self._unpacker.decompress(given, min(len(into), self._left))
        into[: len(found)] = found
        self._left -= len(found)
        self._crc = zlib.crc32(found, self._crc)
        if not self._left and self._crc != self._member.CRC:
            raise self._broken()
        return len(found)

    def _filter(self):
        """What the member says of how it was packed: PKWARE's APPNOTE, section 5.8.8."""
        head = self._packed.read(9)
        if len(head) < 9 or head[4] >= 9 * 5 * 5:
            raise self._broken()
        first, (dictionary,) = head[4], struct.unpack("<I", head[5:])
        # Nothing is repeated from further back than the whole is long.
        reach = max(LEAST_DICTIONARY, min(dictionary, self._member.file_size))
        return {
            "id": lzma.FILTER_LZMA1,
            "lc": first % 9,
            "lp": first // 9 % 5,
            "pb": first // 45,
            "dict_size": reach,
        }

    def _broken(self):
        return zipfile.BadZipFile(f"{self._member.filename} is not what its list says")
