"""The cache under several processes at once: nothing is made twice, nothing blocks for ever."""

import fcntl
import os
import pwd
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from qnn.cache import alone, cache_folder, is_kept, keep_files, kept_files
from qnn.files import held_folder, scratch_folder

ROOT = Path(__file__).resolve().parents[1]
PROCESSES = 4
LOOKS_ALIVE = 1.0  # seconds that a waiting process is watched: it would be through in a tenth
# Makes ``entry`` unless it is there, and tells the log each time that it is made.
MAKER = """
import sys, time
from contextlib import nullcontext
from pathlib import Path
from qnn.cache import alone, keep_files
entry, log, how = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
print("here", flush=True)
sys.stdin.readline()
with alone(entry) if how == "alone" else nullcontext():
    if not entry.exists():
        with log.open("a") as file:
            file.write("made\\n")
        time.sleep(0.5)
        new = log.parent / f"new-{time.monotonic_ns()}" / "result"
        new.parent.mkdir()
        new.write_text("whole")
        keep_files([new], entry)
assert (entry / "result").read_text() == "whole"
"""
# Holds ``entry`` for a minute, with a program of its own that outlives it.
HOLDER = """
import subprocess, sys, time
from pathlib import Path
from qnn.cache import alone
with alone(Path(sys.argv[1])):
    child = subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL)
    print(child.pid, flush=True)
    time.sleep(60)
"""
WAITER = """
import sys
from pathlib import Path
from qnn.cache import alone
print("here", flush=True)
with alone(Path(sys.argv[1])):
    pass
"""


def start(text, *arguments):
    """A Python process that runs ``text``, and its first line."""
    process = subprocess.Popen(
        [sys.executable, "-c", text, *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    return process, process.stdout.readline().strip()


def times_made(folder, how):
    """How often processes that all start together make one entry."""
    entry, log = folder / "entry", folder / "log"
    processes = [start(MAKER, entry, log, how)[0] for _ in range(PROCESSES)]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate()[1] or process.returncode for process in processes] == (
        [0] * PROCESSES
    )
    assert not list(folder.glob(".part-*"))
    return log.read_text().count("made")


def test_processes_that_want_one_entry_make_it_once(tmp_path):
    assert times_made(tmp_path, "alone") == 1


def test_without_the_lock_they_make_it_several_times_and_still_whole(tmp_path):
    assert times_made(tmp_path, "together") > 1


def test_a_holder_that_is_killed_blocks_nobody_though_its_program_lives_on(tmp_path):
    holder, child = start(HOLDER, tmp_path / "entry")
    waiter, _ = start(WAITER, tmp_path / "entry")
    try:
        with pytest.raises(subprocess.TimeoutExpired):  # the holder lives: the waiter waits
            waiter.wait(LOOKS_ALIVE)
        holder.kill()
        assert waiter.wait(30) == 0
        os.kill(int(child), 0)  # raises if the holder's program has ended
    finally:
        for process in (holder, waiter):
            process.kill()
            process.communicate()
        os.kill(int(child), 9)


def test_different_entries_do_not_wait_for_each_other(tmp_path):
    with alone(tmp_path / "one"), alone(tmp_path / "other"):
        waiter, _ = start(WAITER, tmp_path / "third")
        assert waiter.wait(30) == 0  # raises if it waits
        waiter.communicate()


def test_a_folder_without_locks_is_used_all_the_same(tmp_path, monkeypatch):
    def refuse(_file, _how):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with alone(tmp_path / "entry"):
        keep_files([Path(__file__)], tmp_path / "entry")
    assert (tmp_path / "entry" / Path(__file__).name).read_text() == Path(__file__).read_text()


def test_the_lock_ends_with_an_error_in_the_block(tmp_path):
    with pytest.raises(ZeroDivisionError), alone(tmp_path / "entry"):
        raise ZeroDivisionError
    waiter, _ = start(WAITER, tmp_path / "entry")
    assert waiter.wait(30) == 0
    waiter.communicate()


def test_files_that_are_replaced_stay_open_for_who_reads_them(tmp_path):
    old, new = tmp_path / "old" / "model", tmp_path / "new" / "model"
    for path in (old, new):
        path.parent.mkdir()
        path.write_text(path.parent.name)
    keep_files([old], tmp_path / "cache" / "entry")
    with (tmp_path / "cache" / "entry" / "model").open() as reader:
        keep_files([new], tmp_path / "cache" / "entry")
        assert reader.read() == "old"
    assert (tmp_path / "cache" / "entry" / "model").read_text() == "new"
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["entry"]


def test_the_folder_is_the_users_or_the_variables(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "qnn"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "qnn"


@pytest.mark.parametrize("harm", ["cut", "emptied", "altered", "removed", "no hashes", "nothing"])
def test_an_entry_that_is_not_as_it_was_kept_is_made_anew(tmp_path, harm):
    made, entry = tmp_path / "model", tmp_path / "cache/entry"
    made.write_bytes(b"program" * 99)
    assert not is_kept(entry)
    keep_files([made], entry)
    harms = {
        "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
        "emptied": lambda path: path.write_bytes(b""),
        "altered": lambda path: path.write_bytes(b"P" + path.read_bytes()[1:]),
        "removed": lambda path: path.unlink(),
        "no hashes": lambda path: (path.parent / ".whole").write_text("{"),
        "nothing": lambda path: None,
    }
    harms[harm](entry / "model")
    assert is_kept(entry) == (harm == "nothing")
    keep_files([made], entry)
    assert is_kept(entry)
    assert [path.name for path in kept_files(entry)] == ["model"]


# Keeps an entry again and again.
KEEPER = """
import sys
from pathlib import Path
from qnn.cache import keep_files
print("here", flush=True)
for number in range(10_000):
    keep_files([Path(sys.argv[1])], Path(sys.argv[2]) / str(number % 3))
"""


def test_what_a_killed_process_was_filling_goes_with_the_next_and_a_living_ones_stays(tmp_path):
    made, cache, rng, left = tmp_path / "model", tmp_path / "cache", random.Random(3), 0
    made.write_bytes(bytes(1 << 21))
    for _ in range(6):
        process, _ = start(KEEPER, made, cache)
        time.sleep(rng.uniform(0.02, 0.1))
        process.kill()
        process.communicate()
        left += len(list(cache.glob(".part-*")))
        living, descriptor = held_folder(cache, ".part-")
        keep_files([made], cache / "mine")
        assert [path.name for path in cache.glob(".part-*")] == [living.name]
        os.close(descriptor)
        assert is_kept(cache / "mine")
    assert left, "no process was killed while it filled an entry: this tests nothing"


# Works in a temporary folder until it is killed.
WORKER = """
import time
from qnn.files import held_folder, scratch_folder
with scratch_folder("qnn-test-") as folder:
    print(folder, flush=True)
    time.sleep(60)
"""


def test_temporary_folders_of_killed_processes_are_removed_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    (tmp_path / "qnn-test-of-somebody").mkdir()
    (killed, dead), (living, used) = start(WORKER), start(WORKER)
    try:
        killed.kill()
        killed.communicate()
        assert Path(dead).is_dir()
        with scratch_folder("qnn-test-") as mine:
            names = sorted(path.name for path in tmp_path.iterdir())
            kept = [Path(used).name, mine.name, "qnn-test-of-somebody"]
            assert names == sorted(kept)
        assert not mine.exists()
    finally:
        living.kill()
        living.communicate()


@pytest.mark.parametrize("place", ["/proc/none", "/dev/null/none"])
def test_a_cache_that_cannot_be_written_is_a_temporary_folder(monkeypatch, place):
    monkeypatch.setenv("XDG_CACHE_HOME", place)
    folder = cache_folder()
    with alone(folder / "x"):
        assert folder.name.startswith("qnn-cache-")
    assert cache_folder() == folder


@pytest.mark.parametrize("named", ["", "relative/cache"])
def test_without_a_home_the_cache_is_temporary_and_no_folder_called_tilde(
    named, tmp_path, monkeypatch
):
    def unknown(_user):
        raise KeyError

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", named)
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert cache_folder().name.startswith("qnn-cache-")
    assert list(tmp_path.iterdir()) == []
