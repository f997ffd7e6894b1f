"""Files are whole or as before, also when their writer is killed, and only files are read."""

import os
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from qnn import files
from qnn.files import MARK, open_file, read_file, whole_file, write_whole

ROOT = Path(__file__).resolve().parents[1]
SIZE = 1 << 21  # large enough to be killed in
# Writes one file again and again, each time of one letter.
WRITER = """
import sys
from pathlib import Path
from qnn.files import write_whole
print("here", flush=True)
for letter in "abcdefgh" * 1000:
    write_whole(Path(sys.argv[1]), letter * int(sys.argv[2]))
"""


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "a.bin"
    write_whole(path, b"old")
    write_whole(path, "new ä")
    assert path.read_text() == "new ä"
    assert [file.name for file in tmp_path.iterdir()] == ["a.bin"]


def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def full(_from, _to):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space left") as failed:
        write_whole(path, b"new")
    assert failed.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.bin"]


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "none" / "a.bin", b"")


def killed_writer(path, seconds):
    command = [sys.executable, "-c", WRITER, str(path), str(SIZE)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    process.stdout.readline()
    time.sleep(seconds)
    process.kill()
    process.communicate()


def test_a_writer_killed_at_any_moment_leaves_a_whole_file_and_the_next_one_cleans_up(tmp_path):
    path, rng, left = tmp_path / "a.bin", random.Random(1), 0
    write_whole(path, "old")
    # When a loaded machine lets the writer run is chance: a few kills may all fall between writes.
    for attempt in range(60):
        if attempt >= 6 and left:
            break
        killed_writer(path, rng.uniform(0.0, 0.05))
        text = path.read_text()
        assert text == "old" or (len(text) == SIZE and len(set(text)) == 1)
        left += len(list(tmp_path.iterdir())) - 1
        write_whole(path, "old")
        assert [file.name for file in tmp_path.iterdir()] == ["a.bin"]
    assert left, "no writer was killed while it wrote: this tests nothing"


def test_what_a_living_writer_or_somebody_else_has_beside_is_left_alone(tmp_path):
    path = tmp_path / "a.bin"
    others = [".a.bin.12.part", f".a.bin.x{MARK}", f".b.bin.12{MARK}", f"a.bin.12{MARK}"]
    for name in others:
        (tmp_path / name).touch()
    held, stale = tmp_path / f".a.bin.1{MARK}", tmp_path / f".a.bin.2{MARK}"
    with whole_file(tmp_path / "b") as living:
        os.link(living.name, held)  # so that somebody who lives holds it
        stale.touch()
        write_whole(path, "new")
        assert held.exists()
        assert not stale.exists()
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(
        [*others, held.name, "a.bin", "b"]
    )


@pytest.mark.parametrize("opened", [False, True])
def test_a_folder_that_another_removes_before_it_is_held_is_made_again(
    tmp_path, monkeypatch, opened
):
    made, hold = [], files.hold

    def make():
        made.append(tmp_path / str(len(made)))
        made[-1].mkdir()
        if len(made) == 1 and not opened:
            made[-1].rmdir()
        return made[-1]

    def removed_first(descriptor):
        if len(made) == 1:
            made[-1].rmdir()
        hold(descriptor)

    if opened:
        monkeypatch.setattr(files, "hold", removed_first)
    folder, descriptor = files.held(make)
    os.close(descriptor)
    assert folder == made[1]
    assert folder.is_dir()


def test_threads_that_write_one_file_do_not_share_a_half(tmp_path):
    path, size = tmp_path / "a.bin", 1 << 16
    with ThreadPoolExecutor(4) as threads:
        writers = [threads.submit(write_whole, path, letter * size) for letter in "abcdefgh" * 8]
    # Raises what a writer raised.
    assert [writer.result() for writer in writers] == [None] * len(writers)
    text = path.read_text()
    assert (len(text), len(set(text))) == (size, 1)
    assert [file.name for file in tmp_path.iterdir()] == ["a.bin"]


def test_a_link_stays_and_its_file_is_replaced(tmp_path):
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to("file")
    write_whole(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "new"


@pytest.mark.parametrize("name", ["", ".", "/"])
def test_a_folder_is_no_file_to_write_whatever_its_name(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(IsADirectoryError):
        write_whole(Path(name), "lost")
    assert list(tmp_path.iterdir()) == []


def test_a_device_is_written_to_and_never_replaced():
    write_whole(Path("/dev/null"), "gone")
    assert not Path("/dev/null").is_file()


def test_only_regular_files_are_read_and_nobody_waits_for_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for name in ("pipe", "link"):
        with pytest.raises(OSError, match="Not a regular file"):
            read_file(tmp_path / name)
    with pytest.raises(IsADirectoryError):
        open_file(tmp_path)
    (tmp_path / "file").write_bytes(b"1")
    assert read_file(tmp_path / "file") == b"1"
