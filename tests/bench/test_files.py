import errno
from pathlib import Path

import pytest

from qnn.bench import files
from qnn.errors import ModelError


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "a" / "b.txt"
    files.write(path, "one")
    files.write(path, b"two")
    assert path.read_text() == "two"
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "b.txt"
    files.write(path, "old")

    def write(path, data):
        path.open("wb").close()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write)
    with pytest.raises(ModelError) as caught:
        files.write(path, "new")
    assert str(caught.value) == (
        f"{path}: bench needs a writable folder with room, but got 'No space left on device'; "
        f"choose another path"
    )
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
