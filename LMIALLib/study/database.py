"""The connection to ``study.sqlite``: one flushed transaction a change, and SQLite's errors as sentences."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import quote

from LMIALLib.errors import BadInput, WrongUse, disk_errors
from LMIALLib.interrupts import held
from LMIALLib.json_data import parse_json
from LMIALLib.study.clock import now
from LMIALLib.study.inside import check_journal
from LMIALLib.study.labels import LabelSchema
from LMIALLib.study.lease import Lease, confirm_lease, held_lease, release_lease

DATABASE = "study.sqlite"
LARGEST_VALUE = 256 << 20
"""Bytes of one value, more than any mask, ranking or report has."""
RESTORE = "Restore a backup."
INTERRUPTIBLE = 200_000
"""Steps of SQLite after which a query looks whether someone pressed Ctrl-C: some milliseconds."""
_SENTENCES = {
    sqlite3.SQLITE_FULL: "the disk is full: nothing was saved in {0}. Make room and save again.",
    sqlite3.SQLITE_IOERR: "the disk refused to write or read {0} (full, failing or unplugged): nothing was saved.",
    sqlite3.SQLITE_BUSY: "another program kept {0} locked for 5 seconds: nothing was saved. Try again.",
    sqlite3.SQLITE_READONLY: "{0} may not be written to: nothing was saved.",
    sqlite3.SQLITE_CANTOPEN: "{0} cannot be opened: nothing was saved.",
    sqlite3.SQLITE_CORRUPT: "{0} is damaged. Restore a backup.",
    sqlite3.SQLITE_NOTADB: "{0} is not a LMIAL study: it is no SQLite database.",
    sqlite3.SQLITE_TOOBIG: "{0} is damaged: it holds a value of more than 256 MB. Restore a backup.",
}


class SaveNotConfirmed(BadInput):
    """The disk reported a fault at the very end of a save: it did take effect, or nobody can know."""


class Outcome(Enum):
    """What became of a transaction."""

    ABSENT = "absent"
    COMMITTED = "committed"
    UNKNOWN = "unknown"


@contextmanager
def readable_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite and the disk say into BadInput with one sentence naming ``path``."""
    try:
        with disk_errors(f"saving in {path}"):
            yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_INTERRUPT:  # by ``_look_up``: Ctrl-C came while a query ran
            raise KeyboardInterrupt from error
        sentence = _SENTENCES.get(code)
        if sentence is None:
            raise
        raise BadInput(sentence.format(path)) from error
    except UnicodeDecodeError as error:  # what SQLite says of it holds bytes of the damage
        raise BadInput(_SENTENCES[sqlite3.SQLITE_CORRUPT].format(path)) from error


def connect_to_write(database: Path) -> sqlite3.Connection:
    """A connection whose every commit is on the disk before it returns.

    A rollback journal in TRUNCATE mode with synchronous=FULL: the journal's truncation, which is the moment of commit,
    is flushed as well. (In DELETE mode FULL leaves the removal of the journal unflushed, so that a power loss right
    after an acknowledgement could bring the journal back and undo it: see EXTRA at sqlite.org/pragma.html.)
    """
    check_journal(database)
    connection = sqlite3.connect(_address(database, "rw"), uri=True, timeout=5.0, isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = TRUNCATE")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")  # macOS: through the drive's cache as well
    _set_common(connection)
    return connection


def connect_to_read(database: Path) -> sqlite3.Connection:
    """A connection that cannot write; it takes shared locks only and needs no write permission."""
    check_journal(database)
    connection = sqlite3.connect(_address(database, "ro"), uri=True, timeout=5.0, isolation_level=None)
    connection.row_factory = sqlite3.Row
    _set_common(connection)
    return connection


def _address(database: Path, mode: str) -> str:
    """A URI as SQLite wants it: drives as ``file:///C%3A/...``, Windows shares as ``file:////server/...``."""
    path = database.as_posix()
    return f"file://{'' if path.startswith('/') else '/'}{quote(path)}?mode={mode}"


def _set_common(connection: sqlite3.Connection) -> None:
    connection.set_progress_handler(_look_up, INTERRUPTIBLE)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_VALUE)
    connection.execute("PRAGMA busy_timeout = 5000")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA mmap_size = 0")


def _look_up() -> int:
    """Let Python take in a signal while a query runs; an exception from its handler ends the query (INTERRUPT)."""
    return 0


_NOT_CONFIRMED = {
    Outcome.COMMITTED: (
        "the disk reported a fault while it saved in {0}: what was saved is there now, but a power cut could undo it."
    ),
    Outcome.UNKNOWN: (
        "the disk failed while it saved in {0}; whether this was saved shows when the study is next opened."
    ),
}
_CHECK_THE_DISK = "Check the disk, make a backup elsewhere, and look whether it is there."


@dataclass(frozen=True)
class Event:
    """One line of a study's history: when (UTC), what kind, by whom, and JSON-ready details."""

    id: int
    at: str
    kind: str
    reader: str
    details: dict[str, Any]


class StudyDatabase:
    """What every part of a study shares: folder, connection, lease, label schema and history.

    A study is used from the thread that opened it.
    """

    def __init__(self, folder: Path, connection: sqlite3.Connection, *, lease: Lease | None, reason: str) -> None:
        self.folder = folder
        self.why_read_only = reason
        self._connection = connection
        self._lease = lease
        self._outcome = Outcome.ABSENT
        self._beat = lease.heartbeat if lease else 0.0
        self.reader = lease.reader if lease else ""
        self.label_schema = LabelSchema.from_json(self._setting("label_schema"), f"{folder}: its label schema")

    @property
    def read_only(self) -> bool:
        """Whether this session can only look; ``why_read_only`` says why."""
        return self._lease is None

    def heartbeat(self) -> None:
        """Say that this session lives, as every save does. Raises SessionTakenOver when another one took the study."""
        with self._transaction():
            pass

    def still_ours(self) -> bool:
        """Whether no other session took this study over; changes nothing. False for one that can only look."""
        found = self.lease()
        return self._lease is not None and found is not None and found.token == self._lease.token

    def lease(self) -> Lease | None:
        """Who holds the study for writing, dead or alive, or None."""
        self._reconnect()
        with readable_errors(self.folder), self._open_only():
            return held_lease(self._connection)

    @property
    def study_id(self) -> str:
        """Random, given at creation; tells one study from another without naming anyone."""
        return self._setting("study_id")

    def record(self, kind: str, **details: Any) -> None:
        """Add a line to the history: what happened in JSON-ready details, without patient names."""
        with self._transaction() as connection:
            self._record(connection, kind, **details)

    def history(self) -> tuple[Event, ...]:
        """Everything that happened to the study, oldest first."""
        rows = self._rows("SELECT id, at, kind, reader, details FROM events ORDER BY id")
        return tuple(Event(r["id"], r["at"], r["kind"], r["reader"], self._details(r)) for r in rows)

    def _details(self, row: sqlite3.Row) -> dict[str, Any]:
        return parse_json(row["details"], dict[str, Any], f"{self.folder}: event {row['id']} of its history")

    def close(self) -> None:
        """Give the lease back and close; a closed study raises WrongUse."""
        if self._lease:
            with suppress(
                sqlite3.Error, BadInput
            ):  # a full disk must not keep anyone from leaving; the lease dies with the process
                self._reconnect()
                release_lease(self._connection, self._lease.token)
        self._connection.close()

    @contextmanager
    def _transaction(self, *, undo: Callable[[], None] | None = None) -> Iterator[sqlite3.Connection]:
        """One change, whole or not at all, on the disk when this returns. BadInput when it cannot be saved.

        Ctrl-C waits until it is decided. ``undo`` takes back the files that the rows name, which are in place already;
        it runs only where the rows are certainly absent: once they may be committed, no file of theirs is removed.
        Raises SaveNotConfirmed where the disk failed at the very end and the change is there, or may be.
        """
        with held():
            self._reconnect()
            self._outcome = Outcome.ABSENT
            try:
                with self._running() as connection:
                    yield connection
            except BaseException:
                if undo is not None and self._outcome is Outcome.ABSENT:
                    with suppress(OSError):  # what has no row is swept when the study is next opened
                        undo()
                raise

    @contextmanager
    def _running(self) -> Iterator[sqlite3.Connection]:
        if self._lease is None:
            raise BadInput(f"the study {self.folder} is open for reading only: {self.why_read_only}")
        with readable_errors(self.folder), self._open_only():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._beat = max(time.time(), self._beat + 1e-3)  # every transaction has a heartbeat of its own
                confirm_lease(self._connection, self._lease.token, self._beat)
                yield self._connection
            except BaseException:
                self._roll_back()
                raise
            self._commit(self._lease.token)

    def _roll_back(self) -> None:
        if self._connection.in_transaction:  # a full disk may already have rolled back
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")

    def _commit(self, token: str) -> None:
        self._outcome = Outcome.UNKNOWN
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._outcome = self._looked_up(token)
            if self._outcome is Outcome.ABSENT:
                raise
            raise SaveNotConfirmed(_NOT_CONFIRMED[self._outcome].format(self.folder), _CHECK_THE_DISK) from error
        self._outcome = Outcome.COMMITTED

    def _reconnect(self) -> None:
        """Open the database again after a failure in which it could not be opened; else do nothing."""
        if self._outcome is Outcome.UNKNOWN:
            with readable_errors(self.folder):
                self._connection = connect_to_write(self.folder / DATABASE)
            self._outcome = Outcome.ABSENT

    def _looked_up(self, token: str) -> Outcome:
        """Open the database anew after a failed commit and see whether the change is there, by its heartbeat."""
        self._roll_back()
        self._connection.close()
        try:
            self._connection = connect_to_write(self.folder / DATABASE)
            now_held = held_lease(self._connection)
        except sqlite3.Error:
            return Outcome.UNKNOWN
        if now_held is None or now_held.token != token:
            return Outcome.UNKNOWN
        return Outcome.COMMITTED if now_held.heartbeat == self._beat else Outcome.ABSENT

    def _rows(self, query: str, values: tuple[Any, ...] = ()) -> list[sqlite3.Row]:
        self._reconnect()
        with readable_errors(self.folder), self._open_only():
            try:
                return self._connection.execute(query, values).fetchall()
            except sqlite3.OperationalError as error:
                if hasattr(error, "sqlite_errorcode"):
                    raise
                # Python's own: the bytes of a text are not UTF-8
                raise BadInput(f"{self.folder / DATABASE} is damaged: a text in it is none.", RESTORE) from error

    def _row(self, query: str, values: tuple[Any, ...] = ()) -> sqlite3.Row | None:
        found = self._rows(query, values)
        return found[0] if found else None

    def _setting(self, key: str) -> str:
        row = self._row("SELECT value FROM settings WHERE key = ?", (key,))
        return row["value"] if row else ""

    def _record(self, connection: sqlite3.Connection, kind: str, **details: Any) -> None:
        """Add a line of history to the running transaction."""
        connection.execute(
            "INSERT INTO events (at, kind, reader, details) VALUES (?, ?, ?, ?)",
            (now(), kind, details.pop("reader", None) or self.reader, json.dumps(details)),
        )

    @contextmanager
    def _open_only(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.ProgrammingError as error:
            if "closed" in str(error):
                raise WrongUse(f"the study {self.folder} is closed.", "Open it again.") from error
            raise
