"""The store of a search: an SQLite file of evaluations under fingerprints, for one writer.

What is in it survives the end of the process in the middle of anything, by SQLite's journal. A
second search on the same file is refused, as both would compute the same points.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from qnn.errors import PathError
from qnn.explore.evaluation import Evaluated, Fidelity, Figure, RoundedNetwork
from qnn.explore.point import Point
from qnn.fields import FieldsError, parsed, typed
from qnn.files import open_file

FORMAT = "qnn exploration 2"
ALTERED = "cut short or altered; remove it, or name another with --store"
MADE = "made in full"  # the fact with the fingerprints of designs that can be picked
HEAD = b"SQLite format 3\0"
# Bytes of a database by which it is written and read, and what they are where it has a log and no
# journal: beside such a one SQLite would make files, though it is only read.
WAYS, LOGGED = slice(18, 20), 2
TABLES = {
    "facts": "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "evaluations": "CREATE TABLE evaluations (fingerprint TEXT PRIMARY KEY, point TEXT NOT NULL, "
    "fidelity TEXT NOT NULL, figures TEXT NOT NULL, failure TEXT, rounding TEXT, "
    "seconds REAL NOT NULL)",
    # Of networks that designs on several arrays share.
    "roundings": "CREATE TABLE roundings (fingerprint TEXT PRIMARY KEY, figures TEXT NOT NULL, "
    "graph BLOB NOT NULL)",
}
# Files come from elsewhere, too: nothing that a schema says is run.
SAFE = ("PRAGMA trusted_schema = OFF", "PRAGMA cell_size_check = ON")


class Store:
    """An open store; ``store_at`` opens one.

    Parameters
    ----------
    path : of the file
    connection : to it, whose changes end with each call
    """

    def __init__(self, path: Path, connection: sqlite3.Connection):
        self.path = path
        self._connection = connection

    def fact(self, name: str) -> Any:
        """What was kept under a name, as JSON has it; None where nothing was."""
        row = self._row("SELECT value FROM facts WHERE name = ?", name)
        return None if row is None else _parsed(self.path, row[0])

    def keep_fact(self, name: str, value: Any) -> None:
        """Keep a value of JSON; it is on disk when this returns."""
        self._write("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value)))

    def get(self, fingerprint: str) -> Evaluated | None:
        """The evaluation of a fingerprint without its rounded network, if it was made."""
        row = self._row(f"SELECT {COLUMNS} FROM evaluations WHERE fingerprint = ?", fingerprint)
        return None if row is None else _evaluation(self.path, row)

    def keep(self, fingerprint: str, evaluation: Evaluated, rounding: str | None = None) -> None:
        """Keep an evaluation; it is on disk when this returns.

        Parameters
        ----------
        rounding : the fingerprint of its rounded network, which is kept once
        """
        rounded = evaluation.rounded
        with _told(self.path), self._connection:
            if rounded is not None:
                self._connection.execute(
                    "INSERT OR IGNORE INTO roundings VALUES (?, ?, ?)",
                    (rounding, _figures_text(rounded.figures), rounded.graph),
                )
            self._connection.execute(
                "INSERT OR REPLACE INTO evaluations VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    fingerprint,
                    json.dumps(evaluation.point.to_fields()),
                    str(evaluation.fidelity),
                    _figures_text(evaluation.figures),
                    evaluation.failure,
                    None if rounded is None else rounding,
                    evaluation.seconds,
                ),
            )

    def evaluations(self) -> dict[str, Evaluated]:
        """All that there are by fingerprint, in the order in which they were made."""
        with _told(self.path):
            rows = self._connection.execute(
                f"SELECT fingerprint, {COLUMNS} FROM evaluations ORDER BY rowid"
            ).fetchall()
        return {row[0]: _evaluation(self.path, row[1:]) for row in rows}

    def has_rounded(self, rounding: str) -> bool:
        """Whether a rounded network was kept."""
        return self._row("SELECT 1 FROM roundings WHERE fingerprint = ?", rounding) is not None

    def rounded(self, rounding: str | None) -> RoundedNetwork | None:
        """The rounded network of a fingerprint, if it was kept."""
        row = self._row("SELECT figures, graph FROM roundings WHERE fingerprint = ?", rounding)
        return None if row is None else _rounded(self.path, row)

    def rounded_of(self, fingerprint: str) -> RoundedNetwork | None:
        """The rounded network of an evaluation, if it has one."""
        row = self._row("SELECT rounding FROM evaluations WHERE fingerprint = ?", fingerprint)
        return None if row is None else self.rounded(row[0])

    def _row(self, statement, value):
        with _told(self.path):
            # Values are never part of a statement's text.
            return self._connection.execute(statement, (value,)).fetchone()

    def _write(self, statement, values) -> None:
        with _told(self.path), self._connection:
            self._connection.execute(statement, values)


COLUMNS = "point, fidelity, figures, failure, seconds"


@contextmanager
def store_at(path: Path, *, writes: bool = True) -> Iterator[Store]:
    """The store in a file; a search makes it where there is none, and alone may write.

    Raises
    ------
    PathError
        It cannot be opened, another search has it, or it is something else.
    """
    if not writes or path.exists():
        _check_database(path)
    # Given as a path and not as an address, which could ask SQLite for more.
    with _told(path):
        # Whoever waits longer waits for a search of hours.
        connection = sqlite3.connect(path, timeout=1.0)
    try:
        with _told(path):
            for statement in SAFE:
                connection.execute(statement)
            if writes:
                # From the first change on, until it is closed.
                connection.execute("PRAGMA locking_mode = EXCLUSIVE")
                connection.execute("BEGIN EXCLUSIVE")
                _make(connection)
                connection.commit()
            else:
                # Reading must not change a file that somebody else may own.
                connection.execute("PRAGMA query_only = ON")
        _check_schema(path, connection)
        yield Store(path, connection)
    finally:
        connection.close()


def _make(connection) -> None:
    """Make the tables in an empty file."""
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        return
    for statement in TABLES.values():
        connection.execute(statement)
    connection.execute("INSERT INTO facts VALUES ('format', ?)", (json.dumps(FORMAT),))


def _check_database(path) -> None:
    try:
        with open_file(path) as file:
            head = file.read(WAYS.stop)
    except OSError as error:
        raise PathError(
            f"{path}: a store of 'qnn explore' cannot be read ('{error.strerror}'); name one with "
            f"--store"
        ) from None
    # An empty file is what a process leaves that was killed before its first change.
    if (head and not head.startswith(HEAD)) or LOGGED in head[WAYS]:
        raise _foreign(path)


def _check_schema(path, connection) -> None:
    """Refuse all but our own tables: a view or a trigger of another file would be run."""
    with _told(path):
        rows = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
        ).fetchall()
    if dict(rows) != TABLES or len(rows) != len(TABLES):
        raise _foreign(path)
    store = Store(path, connection)
    if store.fact("format") != FORMAT:
        raise _foreign(path)


def _foreign(path) -> PathError:
    return PathError(
        f"{path}: no store of this version of 'qnn explore'; name another file with --store"
    )


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Tell in one line what SQLite says."""
    try:
        yield
    except sqlite3.Error as error:
        raise PathError(f"{path}: {_reason(error)}") from None
    except UnicodeDecodeError:
        # Python reads what SQLite says of a broken name, with its bytes in it.
        raise altered(path) from None


def _reason(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        code &= 0xFF  # without what details it
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "another 'qnn explore' writes this store; wait for it, or name another with --store"
    if code == sqlite3.SQLITE_FULL:
        return "the disk is full; all that was found before is kept: make room and run it again"
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return ALTERED
    return f"the store cannot be used ('{error}'); name another with --store"


def _parsed(path, text):
    try:
        return parsed(text)
    except FieldsError:
        raise _foreign(path) from None


def _figures_text(figures: Mapping[str, Figure]) -> str:
    found = {name: [each.value, each.low, each.high, each.mark] for name, each in figures.items()}
    return json.dumps(found)


def _figures(text) -> dict[str, Figure]:
    found = typed(dict[str, tuple[float, float, float, str]], parsed(text))
    return {name: Figure(*values) for name, values in found.items()}


def _evaluation(path, row) -> Evaluated:
    point, fidelity, figures, failure, seconds = row
    with _unaltered(path):
        return Evaluated(
            Point.from_fields(typed(Mapping, parsed(point))),
            Fidelity(fidelity),
            _figures(figures),
            typed(str | None, failure),
            seconds=typed(float, seconds),
        )


def _rounded(path, row) -> RoundedNetwork:
    figures, graph = row
    with _unaltered(path):
        # Of a number, ``bytes`` would make as many zeros.
        if type(graph) is not bytes:
            raise TypeError("a graph needs to be bytes")
        return RoundedNetwork(_figures(figures), graph)


@contextmanager
def _unaltered(path: Path) -> Iterator[None]:
    """Tell in one line that a row is none of ours."""
    try:
        yield
    # FieldsError is one, too.
    except (TypeError, ValueError):
        raise altered(path) from None


def altered(path: Path) -> PathError:
    """A store whose rows are not as they were written."""
    return PathError(f"{path}: {ALTERED}")
