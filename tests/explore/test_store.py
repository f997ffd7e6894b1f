"""The store: nothing is lost, one writer, and files of others are refused in one line."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnn.errors import PathError
from qnn.explore.evaluation import Evaluated, Fidelity, RoundedNetwork
from qnn.explore.point import Point
from qnn.explore.store import TABLES, store_at
from tests.explore.subjects import evaluation


def test_what_was_kept_is_there_again(tmp_path):
    path = tmp_path / "a.sqlite"
    plain = replace(evaluation(lut=3.0, lost=0.5), fidelity=Fidelity.FULL, seconds=1.5)
    rounded = RoundedNetwork(evaluation(lost=0.5).figures, b"graph")
    whole = replace(plain, rounded=rounded)
    failed = Evaluated(Point(), Fidelity.QUICK, failure="it does not fit")
    with store_at(path) as store:
        store.keep("f1", whole, "r1")
        store.keep("f2", failed)
        store.keep("f3", replace(failed, rounded=rounded), "r1")
        store.keep_fact("network", {"digest": "d"})
    for writes in (True, False):
        with store_at(path, writes=writes) as store:
            assert store.get("f1") == plain
            assert store.evaluations() == {"f1": plain, "f2": failed, "f3": failed}
            assert store.get("f4") is None
            assert [store.rounded_of(name) for name in ("f1", "f2", "f3", "f4")] == [
                *(rounded, None, rounded, None)
            ]
            assert store.has_rounded("r1")
            assert not store.has_rounded("r2")
            assert store.rounded("r1") == rounded
            assert store.fact("network") == {"digest": "d"}
            assert store.fact("other") is None


KILLED = """
import sys, os
from pathlib import Path
from qnn.explore.store import store_at
from tests.explore.subjects import evaluation
with store_at(Path(sys.argv[1])) as store:
    for number in range(1000):
        store.keep(str(number), evaluation(lut=float(number)))
        print(number, flush=True)
"""


def test_a_killed_writer_leaves_all_that_it_had_kept(tmp_path):
    path = tmp_path / "a.sqlite"
    command = [sys.executable, "-c", KILLED, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        said = [int(process.stdout.readline()) for _ in range(20)]
        os.kill(process.pid, signal.SIGKILL)
    with store_at(path) as store:
        found = store.evaluations()
        assert set(map(str, said)) <= set(found)
        assert all(each.value("lut") == float(name) for name, each in found.items())
        store.keep("after", evaluation(lut=1.0))


def read_all(store):
    for name in store.evaluations():
        store.rounded_of(name)


def test_a_second_writer_is_refused(tmp_path):
    path = tmp_path / "a.sqlite"
    with store_at(path) as store:
        store.keep("f", evaluation(lut=1.0))
        with (
            pytest.raises(PathError, match="another 'qnn explore' writes this store"),
            store_at(path),
        ):
            pass
    with store_at(path) as store:
        assert "f" in store.evaluations()


def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path):
    path = tmp_path / "a.sqlite"
    with store_at(path) as store:
        store.keep("f", evaluation(lut=1.0))
        pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
        store._connection.execute(f"PRAGMA max_page_count = {pages}")
        large = replace(evaluation(lut=2.0), rounded=RoundedNetwork({}, bytes(1 << 16)))
        with pytest.raises(PathError, match="the disk is full; all that was found before is kept"):
            store.keep("g", large, "r")
    with store_at(path) as store:
        assert list(store.evaluations()) == ["f"]


def _foreign(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE others (a TEXT)")
    connection.close()


def _with_trigger(path):
    with store_at(path):
        pass
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TRIGGER t AFTER INSERT ON facts BEGIN DELETE FROM evaluations; END"
        )
    connection.close()


def _with_log(path):
    with store_at(path):
        pass
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    connection.close()


def _changed(table, value):
    def change(path):
        with store_at(path) as store:
            store.keep("f", replace(evaluation(lut=1.0), rounded=RoundedNetwork({}, b"graph")), "r")
        with sqlite3.connect(path) as connection:
            connection.execute(f"UPDATE {table} = ?", (value,))
        connection.close()

    return change


def _cut(path):
    with store_at(path) as store:
        store.keep(
            "f", replace(evaluation(lut=1.0), rounded=RoundedNetwork({}, bytes(1 << 16))), "r"
        )
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (_foreign, "no store of this version of 'qnn explore'"),
        # Of such a file a reader would make others beside it.
        (_with_log, "no store of this version of 'qnn explore'"),
        (_with_trigger, "no store of this version of 'qnn explore'"),
        (_changed("facts SET value", '"qnn exploration 1"'), "no store of this version"),
        (_changed("facts SET value", "{"), "no store of this version"),
        (_changed("evaluations SET figures", '{"lut": [1]}'), "cut short or altered"),
        (_changed("evaluations SET fidelity", "guess"), "cut short or altered"),
        (_changed("evaluations SET point", "[]"), "cut short or altered"),
        (_changed("roundings SET graph", 10**14), "cut short or altered"),
        (_changed("roundings SET graph", "text"), "cut short or altered"),
        (_changed("roundings SET figures", "{"), "cut short or altered"),
        (_cut, "cut short or altered"),
        (lambda path: path.write_bytes(b"PK\3\4" * 100), "no store of this version"),
        (lambda path: path.write_bytes(b"SQLite format 3\0" + bytes(9)), "cut short or altered"),
        (lambda path: path.mkdir(), "a store of 'qnn explore' cannot be read"),
        (lambda path: os.mkfifo(path), "a store of 'qnn explore' cannot be read"),
    ],
)
@pytest.mark.parametrize("writes", [True, False])
def test_files_of_others_are_refused_in_one_line(tmp_path, make, text, writes):
    path = tmp_path / "a.sqlite"
    make(path)
    before = os.listdir(tmp_path)
    with pytest.raises(PathError) as refused, store_at(path, writes=writes) as store:
        read_all(store)
    assert str(refused.value).startswith(f"{path}: ")
    assert text in str(refused.value)
    assert "\n" not in str(refused.value)
    assert os.listdir(tmp_path) == before


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of a store with some of everything."""
    path = tmp_path_factory.mktemp("whole") / "a.sqlite"
    with store_at(path) as store:
        store.keep_fact("network", "digest")
        for number in range(3):
            rounded = RoundedNetwork(evaluation(lost=1.0).figures, bytes(100))
            store.keep(str(number), replace(evaluation(lut=1.0), rounded=rounded), "r")
    return path.read_bytes()


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=8))
def test_a_store_that_was_altered_anywhere_is_read_or_refused(whole, tmp_path_factory, changes):
    altered = bytearray(whole)
    for place, byte in changes:
        altered[place % len(whole)] = byte
    path = tmp_path_factory.mktemp("altered") / "a.sqlite"
    path.write_bytes(bytes(altered))
    with contextlib.suppress(PathError), store_at(path, writes=False) as store:
        store.fact("network")
        read_all(store)


@pytest.mark.parametrize("name", [b"facts", b"evaluations", b"roundings"])
def test_names_that_are_no_text_are_told(whole, tmp_path, name):
    """SQLite says them in its error, which Python cannot read."""
    path = tmp_path / "a.sqlite"
    for word in (b"CREATE TABLE " + name, b"table" + name):
        path.write_bytes(whole.replace(word, word[:-1] + b"\x80"))
        with pytest.raises(PathError) as refused, store_at(path, writes=False):
            pass
        assert str(refused.value).startswith(f"{path}: ")
        assert "\n" not in str(refused.value)


def test_a_store_that_is_not_there_is_made_by_a_search_alone(tmp_path):
    path = tmp_path / "a.sqlite"
    with pytest.raises(PathError, match="cannot be read"), store_at(path, writes=False):
        pass
    assert not path.exists()
    with store_at(path):
        pass
    with sqlite3.connect(path) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE sql")]
    connection.close()
    assert path.exists()
    assert set(names) <= set(TABLES)
    with pytest.raises(PathError, match="cannot be used"), store_at(tmp_path / "no" / "a.sqlite"):
        pass


def test_an_empty_file_of_a_process_that_was_killed_early_is_a_new_store(tmp_path):
    path = tmp_path / "a.sqlite"
    path.touch()
    with store_at(path) as store:
        assert store.evaluations() == {}
