"""A folder is replaced at once, under readers and killed writers, and what is others' stays."""

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qnn import exchange, files
from qnn.exchange import replace_folder

ROOT = Path(__file__).resolve().parents[1]
NAMES = [f"part{n}/file" for n in range(20)]
# Replaces a folder again and again, each time by files of one number.
WRITER = """
import sys
from pathlib import Path
from qnn.exchange import replace_folder
names = [f"part{n}/file" for n in range(20)]
print("here", flush=True)
for number in range(100_000):
    files = {name: str(number).encode() * 2000 for name in names}
    replace_folder(Path(sys.argv[1]), files, lambda *_: False, lambda _: None)
"""


def replace(folder, text, keep=lambda *_: False):
    files = {name: text.encode() for name in NAMES}
    replace_folder(folder, files, keep, lambda _: None)


def content(folder):
    return {path.read_bytes() for path in folder.rglob("file")}


def started(folder):
    command = [sys.executable, "-c", WRITER, str(folder)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    process.stdout.readline()
    return process


def test_a_reader_never_misses_a_folder_that_is_replaced(tmp_path):
    folder, looks, missed = tmp_path / "build", 0, 0
    replace(folder, "old")
    process = started(folder)
    try:
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            looks += 1
            missed += not (folder / NAMES[0]).is_file()
    finally:
        process.kill()
        process.communicate()
    assert looks > 100
    assert missed == 0


def test_a_writer_killed_at_any_moment_leaves_a_whole_folder_and_the_next_cleans_up(tmp_path):
    folder, rng, left = tmp_path / "build", random.Random(2), 0
    replace(folder, "old")
    for _ in range(8):
        process = started(folder)
        time.sleep(rng.uniform(0.0, 0.03))
        process.kill()
        process.communicate()
        assert len(content(folder)) == 1
        assert sorted(str(p.relative_to(folder)) for p in folder.rglob("file")) == sorted(NAMES)
        left += len(os.listdir(tmp_path)) - 1
        replace(folder, "old")
        assert os.listdir(tmp_path) == ["build"]
    assert left, "no writer was killed while it wrote: this tests nothing"


def test_what_is_kept_is_the_same_file_and_links_and_empty_folders_stay(tmp_path):
    folder = tmp_path / "build"
    replace(folder, "old")
    (folder / "notes.txt").write_text("mine")
    (folder / "deep/er").mkdir(parents=True)
    (folder / "deep/link").symlink_to("../notes.txt")
    (folder / "deep/folder").symlink_to(tmp_path)
    (folder / NAMES[0]).with_name("other").write_text("theirs")
    number = (folder / "notes.txt").stat().st_ino
    replace(folder, "new", lambda name, _path: name not in NAMES)
    assert content(folder) == {b"new"}
    assert (folder / "notes.txt").stat().st_ino == number
    assert (folder / "deep/er").is_dir()
    assert os.readlink(folder / "deep/link") == "../notes.txt"
    assert os.readlink(folder / "deep/folder") == str(tmp_path)
    assert (folder / NAMES[0]).with_name("other").read_text() == "theirs"
    assert os.listdir(tmp_path) == ["build"]


def test_a_file_that_comes_while_it_is_replaced_stays(tmp_path, monkeypatch):
    folder = tmp_path / "build"
    replace(folder, "old")
    exchanged = exchange.exchange

    def late(one, other):
        (other / "late").write_text("mine")
        exchanged(one, other)

    monkeypatch.setattr(exchange, "exchange", late)
    replace(folder, "new", lambda name, _path: name not in NAMES)
    assert (folder / "late").read_text() == "mine"


def test_a_link_to_a_folder_stays_and_its_folder_is_replaced(tmp_path):
    replace(tmp_path / "build", "old")
    (tmp_path / "link").symlink_to("build")
    replace(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert content(tmp_path / "build") == {b"new"}
    assert sorted(os.listdir(tmp_path)) == ["build", "link"]


def test_a_link_in_the_place_of_a_folder_or_file_is_replaced_and_never_followed(tmp_path):
    folder, elsewhere = tmp_path / "build", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").write_text("theirs")
    replace(folder, "old")
    shutil.rmtree(folder / "part0")
    (folder / "part0").symlink_to(elsewhere)
    (folder / "part1/file").unlink()
    (folder / "part1/file").symlink_to(elsewhere / "file")
    replace(folder, "new", lambda *_: True)
    assert content(folder) == {b"new"}
    assert not (folder / "part0").is_symlink()
    assert (elsewhere / "file").read_text() == "theirs"


def test_a_link_that_leads_nowhere_gets_its_folder(tmp_path):
    (tmp_path / "link").symlink_to("build")
    replace(tmp_path / "link", "new")
    assert (os.readlink(tmp_path / "link"), content(tmp_path / "build")) == ("build", {b"new"})


def test_a_link_under_the_name_of_a_killed_writer_is_not_put_back(tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / f".build{exchange.OLD}").symlink_to("theirs")
    exchange.recover(tmp_path / "build")
    assert not os.path.lexists(tmp_path / "build")
    assert (tmp_path / "theirs").is_dir()


def test_a_new_folder_that_another_writer_takes_for_stale_is_made_again(tmp_path, monkeypatch):
    held, taken = files.hold, []

    def late(descriptor):
        # Between the making and the lock of the first one, another writer cleans up.
        if not taken:
            taken.extend(tmp_path.glob(f".build.*{files.MARK}"))
            files.remove_stale(tmp_path / "build")
        held(descriptor)

    monkeypatch.setattr(files, "hold", late)
    replace(tmp_path / "build", "new")
    assert len(taken) == 1
    assert not taken[0].exists()
    assert content(tmp_path / "build") == {b"new"}


@pytest.mark.parametrize("killed", [False, True])
def test_where_names_cannot_be_exchanged_two_renames_do_it(tmp_path, monkeypatch, killed):
    monkeypatch.setattr(exchange, "_exchanged", lambda *_: False)
    folder = tmp_path / "build"
    replace(folder, "old")
    if killed:  # as a process that ends between the two leaves it
        folder.rename(tmp_path / f".build{exchange.OLD}")
        exchange.recover(folder)
        assert content(folder) == {b"old"}
    replace(folder, "new")
    assert content(folder) == {b"new"}
    assert os.listdir(tmp_path) == ["build"]


def test_a_failed_write_leaves_the_old_folder_alone(tmp_path):
    folder = tmp_path / "build"
    replace(folder, "old")
    with pytest.raises(FileExistsError):
        replace_folder(folder, {"a": b"", "a/b": b""}, lambda *_: True, lambda _: None)
    assert content(folder) == {b"old"}
    assert os.listdir(tmp_path) == ["build"]


def test_two_writers_at_once_leave_one_whole_folder(tmp_path):
    folder = tmp_path / "build"
    replace(folder, "old")
    other = started(folder)
    try:
        for _ in range(20):
            replace(folder, "mine")
            assert len(content_or_retry(folder)) == 1
    finally:
        other.kill()
        other.communicate()
    replace(folder, "last")
    assert content(folder) == {b"last"}
    assert os.listdir(tmp_path) == ["build"]


def content_or_retry(folder):
    """The content at one moment: an open folder stays what it is until its files are removed."""
    while True:
        try:
            handle = os.open(folder, os.O_RDONLY)
            try:
                return {_read(name, handle) for name in NAMES}
            finally:
                os.close(handle)
        except FileNotFoundError:
            continue


def _read(name, handle):
    opened = os.open(name, os.O_RDONLY, dir_fd=handle)
    with os.fdopen(opened, "rb") as file:
        return file.read()
