"""How ``study.sqlite`` is opened: connections whose every commit is flushed, and SQLite's errors as sentences."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from LMIALLib.errors import BadInput, disk_errors
from LMIALLib.study.inside import check_journal

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


@contextmanager
def readable_errors(path: Path) -> Iterator[None]:
    """Turn errors of SQLite and of the disk into BadInput with one sentence naming ``path``."""
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
