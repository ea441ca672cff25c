"""Opening studies of other versions: newer ones are refused, older ones upgraded with a copy kept."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from LMIALLib.errors import BadInput, disk_errors
from LMIALLib.files import written_whole
from LMIALLib.study import schema

_RESTORE = "Restore a backup."


def checked_version(connection: sqlite3.Connection, folder: Path) -> int:
    """The schema version of the study. Raises BadInput for another kind of database or a newer version."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if application != schema.APPLICATION_ID:
        raise BadInput(f"{folder}/study.sqlite is a database of another program, not a LMIAL study.")
    if version > schema.SCHEMA_VERSION:
        raise BadInput(
            f"the study {folder} was made by a newer LMIAL (version {version} of its schema; this one knows "
            f"{schema.SCHEMA_VERSION}).",
            "Update LMIAL to open it; nothing was changed.",
        )
    if version < 1 or _contents(connection, folder) not in schema.admitted(version):
        raise BadInput(
            f"{folder}/study.sqlite holds tables, views or triggers that are not those of a LMIAL study.",
            "They could answer for your own answers. Take the study from where it came, or restore a backup.",
        )
    return version


def _contents(connection: sqlite3.Connection, folder: Path) -> frozenset[tuple[str, ...]]:
    try:
        return schema.contents(connection)
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) != sqlite3.SQLITE_ERROR:
            raise
        raise BadInput(f"{folder}/study.sqlite is damaged: its tables cannot be made out.", _RESTORE) from error


def check_values(connection: sqlite3.Connection, folder: Path) -> None:
    """Raise BadInput where a row of a study of this version holds what LMIAL never writes."""
    odd = schema.odd_values(connection)
    if odd:
        raise BadInput(
            f"{folder}/study.sqlite is damaged: {', '.join(odd)} hold{'s' if len(odd) == 1 else ''} a value that LMIAL"
            " never writes there.",
            _RESTORE,
        )


def upgrade(connection: sqlite3.Connection, folder: Path, version: int) -> None:
    """Bring an older database to this version in one transaction, after keeping ``study-before-v<n>.sqlite``.

    A copy that is there already is kept: it is from an upgrade that failed, or of a study that came back from a backup.
    Raises BadInput, with the database as it was, when a step fails.
    """
    if version == schema.SCHEMA_VERSION:
        return
    kept = folder / f"study-before-v{schema.SCHEMA_VERSION}.sqlite"
    if not kept.exists():
        keeping = disk_errors(f"keeping a copy of {folder} before its upgrade")
        with keeping, written_whole(kept) as temporary, closing(sqlite3.connect(temporary)) as copy:
            connection.backup(copy)
    _migrate(connection, folder, version)


def of_this_version(connection: sqlite3.Connection, folder: Path) -> sqlite3.Connection:
    """A connection that only reads, where the study is of an older version an upgraded copy of it in memory instead.

    Raises BadInput for what no LMIAL made, a newer version and damaged rows.
    """
    version = checked_version(connection, folder)
    if version < schema.SCHEMA_VERSION:
        memory = sqlite3.connect(":memory:", isolation_level=None)
        memory.row_factory = sqlite3.Row
        connection.backup(memory)
        connection.close()
        _migrate(memory, folder, version)
        connection = memory
    check_values(connection, folder)
    return connection


def _migrate(connection: sqlite3.Connection, folder: Path, version: int) -> None:
    connection.execute("PRAGMA foreign_keys = OFF")  # a table may be made anew; not possible within a transaction
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in range(version, schema.SCHEMA_VERSION):
            for statement in schema.statements(schema.MIGRATIONS[step]):
                connection.execute(statement)
        if dangling := connection.execute("PRAGMA foreign_key_check").fetchone():
            raise sqlite3.IntegrityError(f"a row of {dangling[0]} would belong to nothing")
        schema.mark(connection, schema.SCHEMA_VERSION)
        connection.execute("COMMIT")
    except (sqlite3.Error, KeyError) as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise BadInput(
            f"the study {folder} could not be upgraded from version {version} ({error}); it is as it was."
        ) from error
    finally:
        connection.execute("PRAGMA foreign_keys = ON")
