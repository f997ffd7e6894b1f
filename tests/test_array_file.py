"""NumPy's files: whatever a header says, no more is read or allocated than the file has."""

import io
import os
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from qnn.array_file import ArrayFileError, open_arrays, read_arrays, write_arrays

ROOT = Path(__file__).resolve().parents[1]
READER = """
import resource, sys
from pathlib import Path
from qnn.array_file import ArrayFileError, read_arrays
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
try:
    read_arrays(Path(sys.argv[1]))
except ArrayFileError as error:
    print(error)
"""


def npy(array, shape=None):
    """The bytes of an array, whose header may say another shape."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    data = buffer.getvalue()
    if shape is None:
        return data
    old, new = (str(tuple(s)).encode() for s in (array.shape, shape))
    start, _, rest = data.partition(b"\n")
    text = start.replace(old, new).rstrip().ljust(len(start))
    assert len(text) == len(start), "the header has room for the shape"
    return text + b"\n" + rest


def npz(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=np.uint8).reshape(3, 4),
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.zeros((0, 3), np.int64),
        np.float32(2.5).reshape(()),
        np.array([1, 2], ">i4"),
        np.array([True, False]),
    ],
)
def test_arrays_come_back_as_numpy_reads_them(tmp_path, array):
    path = tmp_path / "a.npz"
    write_arrays(path, {"x": array})
    np.savez_compressed(tmp_path / "b.npz", x=array)
    np.save(tmp_path / "c.npy", array)
    found = read_arrays(path)["x"], read_arrays(tmp_path / "b.npz")["x"]
    for each in (*found, read_arrays(tmp_path / "c.npy")):
        assert each.dtype == array.dtype.newbyteorder("=")
        np.testing.assert_array_equal(each, array)


@pytest.mark.parametrize("kind", ["header", "member", "bomb"])
def test_a_file_that_asks_for_more_than_it_has_takes_no_memory(tmp_path, kind):
    path, array = tmp_path / "a.npz", np.zeros(8, np.uint8)
    if kind == "bomb":  # a gigabyte of zeros in a megabyte
        npz(path, {"x.npy": npy(array, (1 << 30,))[:-8] + bytes(1 << 30)})
        text = f"array x would take {(1 << 30) + 128} bytes, more than "
    else:
        path = npz(path, {"x.npy": npy(array, (1 << 40,))})
        text = f"x needs {1 << 40} bytes for its shape ({1 << 40},), not 8"
    if kind == "member":
        path = tmp_path / "a.npy"
        path.write_bytes(npy(array, (1 << 40,)))
        text = text.replace("x needs", "a.npy needs")
    command = [sys.executable, "-c", READER, str(path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.startswith(text), run.stderr


def test_many_members_take_no_more_than_one_may(tmp_path):
    # Each of 32 MiB is below the limit of 64 MiB, and their file has 100 kB.
    data = npy(np.zeros(8, np.uint8), (1 << 25,))[:-8] + bytes(1 << 25)
    path = npz(tmp_path / "a.npz", {f"x{n}.npy": data for n in range(3)})
    text = f"array x1 with the 1 before it would take {2 * len(data)} bytes, more than {1 << 26}"
    with pytest.raises(ArrayFileError) as error:
        read_arrays(path)
    assert str(error.value) == text
    with open_arrays(path) as arrays:
        for _ in range(3):  # one array alone may be read as often as one likes
            assert len(arrays["x2"]) == 1 << 25


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "x is no array of NumPy's"),
        (b"anything else", "x is no array of NumPy's"),
        (npy(np.array([None], object).astype("S1")), "x needs an array of plain numbers, and has"),
        (npy(np.zeros(8))[:-1], "x needs 64 bytes for its shape (8,), not 63"),
        (b"\x93NUMPY\x09\0\0\0", "x has a header of format 9 with 0 bytes"),
        (b"\x93NUMPY\x02\0\xff\xff\xff\xff", "x has a header of format 2 with 4294967295 bytes"),
    ],
)
def test_a_member_that_is_no_array_is_refused(tmp_path, data, text):
    path = npz(tmp_path / "a.npz", {"x.npy": data})
    with open_arrays(path) as arrays, pytest.raises(ArrayFileError) as error:
        arrays["x"]
    assert str(error.value).startswith(text)


def test_an_object_is_never_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([os], object).astype(object)[:0], allow_pickle=True)
    with pytest.raises(ArrayFileError, match=r"^Object arrays cannot be loaded when allow_pickle="):
        read_arrays(tmp_path / "a.npy")


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.npz"
    write_arrays(path, {"x": np.zeros(3)})
    before = path.read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 12, limit[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_arrays(path, {"x": np.zeros(1 << 16)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.npz"]
