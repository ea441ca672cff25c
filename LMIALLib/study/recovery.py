"""Opening a study's database for looking, also right after a crash, when SQLite first has to roll a save back."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from LMIALLib.study.connection import DATABASE, connect_to_read, connect_to_write
from LMIALLib.study.versions import of_this_version


def connect_to_look(database: Path) -> sqlite3.Connection:
    """A connection for reading, also right after a crash, when SQLite first has to roll an unfinished save back."""
    connection = connect_to_read(database)
    try:
        return of_this_version(connection, database.parent)
    except sqlite3.OperationalError as error:
        connection.close()
        if (error.sqlite_errorcode & 0xFF) not in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
            raise
    return _rolled_back(database)


def _rolled_back(database: Path) -> sqlite3.Connection:
    """Roll an unfinished save back: in place where that is allowed, else in a copy that lives in memory."""
    journal = Path(f"{database}-journal")
    if os.access(database.parent, os.W_OK) and os.access(database, os.W_OK):
        with closing(connect_to_write(database)) as writer:
            writer.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return of_this_version(connect_to_read(database), database.parent)
    memory = sqlite3.connect(":memory:", isolation_level=None)
    memory.row_factory = sqlite3.Row
    with tempfile.TemporaryDirectory(prefix="lmial-") as place:
        copy = Path(place) / DATABASE
        shutil.copyfile(database, copy)
        if journal.exists():
            shutil.copyfile(journal, Path(place) / journal.name)
        with closing(sqlite3.connect(copy)) as source:
            source.backup(memory)
    return of_this_version(memory, database.parent)
