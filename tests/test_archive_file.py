"""ZIP archives whose lists lie: no reader of a user's file takes more memory than a list says."""

import bz2
import lzma
import struct
import tracemalloc
import zipfile
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from qnn.archive_file import BROKEN_ARCHIVE, open_member
from qnn.array_file import ArrayFileError, read_arrays
from qnn.errors import QnnError
from qnn.frontend.pt2.read import from_pt2
from qnn.nn.weights.load import load_weights

BOMB = 1 << 25  # bytes that a member unpacks to
SAID = 128  # bytes that the list says of it
MOST = 1 << 23  # bytes that reading may take: pieces, and what Python keeps beside them
READERS = {
    "a.npz": (read_arrays, ArrayFileError),
    "a.pt2": (from_pt2, QnnError),
    "a.pt": (lambda path: load_weights(nn.Linear(1, 1), path), QnnError),
}
# As zipfile writes it in front of a stream of LZMA: its version, and the decoder's properties.
LZMA_HEAD = struct.pack("<BBH", 9, 4, 5) + b"\x5d\xff\xff\xff\xff"


def deflated(data):
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def liar(path, packed, method, name="x/models/model.json"):
    """Write an archive of one member, of which the list says ``SAID`` bytes, whatever it has."""
    if path.suffix == ".npz":
        name = "x.npy"
    about = struct.pack("<5H3I2H", 46, 0, method, 0, 0, 0, len(packed), SAID, len(name), 0)
    local = b"PK\3\4" + about + name.encode()
    listed = b"PK\1\2" + struct.pack("<H", 46) + about + bytes(14) + name.encode()
    place = len(local) + len(packed)
    end = b"PK\5\6" + struct.pack("<4H2IH", 0, 0, 1, 1, len(listed), place, 0)
    path.write_bytes(local + packed + listed + end)


MEMBERS = {
    "a deflated bomb": (deflated(bytes(BOMB)), zipfile.ZIP_DEFLATED),
    "a bzip2 bomb": (bz2.compress(bytes(BOMB)), zipfile.ZIP_BZIP2),
    "an LZMA bomb": (
        LZMA_HEAD + lzma.compress(bytes(BOMB), lzma.FORMAT_ALONE)[13:],
        zipfile.ZIP_LZMA,
    ),
    "no deflated stream": (b"\xff" * 99, zipfile.ZIP_DEFLATED),
    "no bzip2 stream": (b"\xff" * 99, zipfile.ZIP_BZIP2),
    "no LZMA stream": (LZMA_HEAD + b"\xff" * 99, zipfile.ZIP_LZMA),
    "a method that nobody has": (b"\xff" * 99, 99),
    "a stream that ends early": (deflated(bytes(BOMB))[:20], zipfile.ZIP_DEFLATED),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("kind", MEMBERS)
def test_a_member_that_is_not_as_its_list_says_is_refused_without_its_memory(tmp_path, kind, name):
    (read, error), path = READERS[name], tmp_path / name
    liar(path, *MEMBERS[kind])
    tracemalloc.start()
    try:
        with pytest.raises(error) as refused:
            read(path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "\n" not in str(refused.value)
    assert most < MOST


@pytest.mark.parametrize("kind", ["a deflated bomb", "a bzip2 bomb"])
def test_python_alone_unpacks_what_no_list_says(tmp_path, kind):
    # So the bombs above are some, and what is measured of them would be seen.
    liar(tmp_path / "a.zip", *MEMBERS[kind])
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        tracemalloc.start()
        try:
            with pytest.raises(zipfile.BadZipFile):
                archive.read(archive.infolist()[0])
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert most >= BOMB


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300), st.integers(0, 3000), st.integers(1, 5000))
def test_what_lzma_packed_is_what_was_packed(tmp_path, piece, times, size):
    data = piece * times
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("x", data)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        member = open_member(archive, archive.getinfo("x"))
        parts = iter(lambda: member.read(size), b"")
        assert b"".join(parts) == data


@given(st.data())
def test_an_altered_lzma_member_is_not_taken_for_what_was_packed(tmp_path_factory, data):
    path, packed = tmp_path_factory.mktemp("altered") / "a.zip", bytes(range(256)) * 4
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("x", packed)
        start = archive.getinfo("x").header_offset + 30 + len("x")
        size = archive.getinfo("x").compress_size
    held = bytearray(path.read_bytes())
    held[start + data.draw(st.integers(4, size - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(held)
    with zipfile.ZipFile(path) as archive:
        try:
            assert open_member(archive, archive.getinfo("x")).read(len(packed)) == packed
        except BROKEN_ARCHIVE:
            pass


def test_a_method_that_no_writer_uses_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("x", b"0")
        with pytest.raises(zipfile.BadZipFile) as refused:
            open_member(archive, archive.getinfo("x"))
    assert str(refused.value) == "x is packed by method 12, not stored, deflated or by LZMA"
